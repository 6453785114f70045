"""The last active admin stays, whoever asks: triggers behind `roles.put`, for every door that there is or will be.

They stand on Django's own tables and are created again after every migrate. Two transactions that each take away one
of two admins do not see each other on PostgreSQL: there the trigger takes the row of the group first.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "the last active admin stays: make somebody else an admin first"
# trigger -> (table, when it fires, the column that says whose account it is)
TRIGGERS = {
    "auth_user_groups_no_delete": ("auth_user_groups", "BEFORE DELETE", "user_id"),
    "auth_user_groups_no_update": ("auth_user_groups", "BEFORE UPDATE", "user_id"),
    "auth_user_no_update": ("auth_user", "BEFORE UPDATE OF is_active", "id"),
    "auth_group_no_update": ("auth_group", "BEFORE UPDATE OF name", "id"),
}
ADMINS = (
    "SELECT 1 FROM auth_user u JOIN auth_user_groups m ON m.user_id = u.id JOIN auth_group g ON g.id = m.group_id "
    "WHERE g.name = 'admin' AND u.is_active AND u.id {which}"
)


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers, replacing what stands there."""
    statements = _sqlite() if connection.vendor == "sqlite" else _postgresql()
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the triggers that should stand and do not; empty when the tables are not there yet."""
    if "auth_user_groups" not in connection.introspection.table_names():
        return []
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query)
        present = {row[0] for row in cursor.fetchall()}
    return [name for name in TRIGGERS if name not in present]


def _sqlite() -> list[str]:
    is_admin, other = ADMINS.format(which="= OLD.{own}"), ADMINS.format(which="<> OLD.{own}")
    of_group = "OLD.group_id = (SELECT id FROM auth_group WHERE name = 'admin') AND "
    conditions = {
        "auth_user_groups": f"{of_group}EXISTS ({is_admin}) AND NOT EXISTS ({other})",
        "auth_user": f"OLD.is_active AND NOT NEW.is_active AND EXISTS ({is_admin}) AND NOT EXISTS ({other})",
        "auth_group": "OLD.name = 'admin' AND NEW.name <> 'admin'",
    }
    made = []
    for name, (table, moment, own) in TRIGGERS.items():
        when = conditions[table].format(own=own)
        made.append(f"DROP TRIGGER IF EXISTS {name}")
        made.append(
            f"CREATE TRIGGER {name} {moment} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    return made


def _postgresql() -> list[str]:
    is_admin, other = ADMINS.format(which="= who"), ADMINS.format(which="<> who")
    function = f"""
        CREATE OR REPLACE FUNCTION gr_last_admin() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            who bigint;
            going boolean := true;
        BEGIN
            PERFORM 1 FROM auth_group WHERE name = 'admin' FOR NO KEY UPDATE;
            IF TG_TABLE_NAME = 'auth_user' THEN
                who := OLD.id;
            ELSIF TG_TABLE_NAME = 'auth_user_groups' THEN
                who := OLD.user_id;
                going := OLD.group_id = (SELECT id FROM auth_group WHERE name = 'admin');
            ELSE  -- another name for the group takes the role from everybody
                RAISE EXCEPTION '{REFUSAL}';
            END IF;
            IF going AND EXISTS ({is_admin}) AND NOT EXISTS ({other}) THEN
                RAISE EXCEPTION '{REFUSAL}';
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        END $$
    """  # noqa: S608  our own names, no input
    only = {
        "auth_user": " WHEN (OLD.is_active AND NOT NEW.is_active)",
        "auth_group": " WHEN (OLD.name = 'admin' AND NEW.name <> 'admin')",
    }
    made = [function]
    for name, (table, moment, _) in TRIGGERS.items():
        made.append(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        made.append(
            f"CREATE TRIGGER {name} {moment} ON {table} FOR EACH ROW{only.get(table, '')} "
            "EXECUTE FUNCTION gr_last_admin()"
        )
    return made
