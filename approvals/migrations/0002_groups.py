"""Create the eight groups of the house."""

from django.db import migrations

# frozen here: a migration tells what was true when it was written
NAMES = ["release-owner", "approver", "ops", "deploy-operator", "media-eng", "triage", "auditor", "admin"]


def create(apps, schema_editor):
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name in NAMES:
        groups.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    # nothing is undone: people may be in the groups
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
