from django.db import migrations


def void(apps, schema_editor):
    """Void the codes that could be computed again from what is kept; their owners find none left and make new ones."""
    connection = schema_editor.connection
    # allauth's table, which a new installation may not have yet
    if "mfa_authenticator" in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute("""UPDATE mfa_authenticator SET data = '{"hashes": []}' WHERE type = 'recovery_codes'""")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0009_browser_sessions")]
    operations = [migrations.RunPython(void, migrations.RunPython.noop)]
