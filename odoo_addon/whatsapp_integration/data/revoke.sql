-- Takes back what data/grants.sql gave the daemon's role in this database: run when the addon is uninstalled, and printed
-- by `wabridge grants --take-back`. :role stands for the role, quoted by the caller. Repeatable; one transaction.
DO $do$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND c.relowner <> $role$:role$role$::regrole
          AND (EXISTS (SELECT 1 FROM aclexplode(c.relacl) x WHERE x.grantee = $role$:role$role$::regrole)
               OR EXISTS (SELECT 1 FROM pg_attribute a, aclexplode(a.attacl) x
                          WHERE a.attrelid = c.oid AND x.grantee = $role$:role$role$::regrole))
    LOOP
        EXECUTE 'REVOKE ALL ON ' || name || $role$ FROM :role$role$;
    END LOOP;
END $do$;
REVOKE USAGE ON SCHEMA public FROM :role;
