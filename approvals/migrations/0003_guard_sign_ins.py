"""Lets the guard count wrong passwords for names that are no account, too."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0002_groups"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.AddField("stepupguard", "name_sha256", models.CharField(max_length=64, null=True, unique=True)),
        migrations.AlterField(
            "stepupguard",
            "user",
            models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
