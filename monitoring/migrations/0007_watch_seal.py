from typing import Any

from django.db import migrations, models


def seal_live(apps: Any, schema_editor: Any) -> None:
    """Seal the watches that are under way: from this version on one without a seal counts as edited."""
    from monitoring import watch_seal

    for watch in apps.get_model("monitoring", "Watch").objects.exclude(state="CLOSED"):
        watch.seal = watch_seal.of(watch)
        watch.save(update_fields=["seal"])


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0006_watch_plural"),
    ]

    operations = [
        migrations.AddField(
            model_name="watch",
            name="seal",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.RunPython(seal_live, migrations.RunPython.noop),
    ]
