"""Keeps who tuned which number; a tuning from before is counted for the one who was known."""

from django.db import migrations, models


def carry_over(apps, schema_editor):
    rollouts = apps.get_model("rollout", "Rollout").objects
    for rollout in rollouts.filter(tuned_by__isnull=False).exclude(tuning={}):
        tuners = {key: [rollout.tuned_by_id] for key in rollout.tuning}
        rollouts.filter(pk=rollout.pk).update(tuners=tuners)


class Migration(migrations.Migration):
    dependencies = [("rollout", "0002_configuration_refused")]

    operations = [
        migrations.AddField("rollout", "tuners", models.JSONField(blank=True, default=dict)),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
    ]
