//! Row-level security (I5): what the node's own database role can see and do when it writes SQL by hand.

use crate::contract::script::{Position, caller, change, payload, round, tenant, tick};
use crate::server::{Database, Server};
use crate::{Postgres, fresh, open};
use mandate_directory::{SessionRecord, Sessions};
use mandate_journal::{
    ApprovalChange, ApprovalKind, ApprovalRecord, ApprovalState, Change, ClaimQuery, Commit, EpochKey, LeaseChange,
    Log, ResourceWrite, Resources, Runs, SecretRecord, StoreError, Stored, System, TimerChange, TimerRecord,
};
use mandate_kernel::{
    ApprovalId, Attempt, Digest, Duration, Labels, Principal, ResourceName, Secret, StepSeq, SystemEntropy, Timestamp,
};
use mandate_ledger::Frontier;
use mandate_store::PostgresConfig;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// Fills tenant `a` with a row in every table.
async fn furnish(backend: &Postgres) {
    let store = backend.store.of(&caller("a"));
    let mut admin = change("a");
    let spec = Some(serde_json::json!({"x": 1}));
    admin.resources = vec![ResourceWrite { kind: "Worker".into(), name: "finance/w".into(), expected: None, spec }];
    let (kind, name, sealed) = ("credential".to_owned(), "finance/key".to_owned(), b"sealed".to_vec());
    admin.secrets = vec![SecretRecord { kind, name, version: 1, sealed, created_at: tick() }];
    admin.revoke = vec![EpochKey::Tenant];
    crate::contract::occasions::furnish(&mut admin);
    store.change(admin).await.unwrap();
    let fresh = Position::fresh(&tenant("a"));
    let mut start = fresh.start();
    start.leases.push(LeaseChange::Intend(fresh.lease(1)));
    start.timers.push(TimerChange::Set(TimerRecord { name: "machine:1".into(), due: tick() }));
    start.payloads.push(payload("secret"));
    start.approvals.push(ApprovalChange::Ask(Box::new(approval(&fresh))));
    store.commit(start.clone()).await.unwrap();
    let waiting = store.pending(10).await.unwrap();
    assert!(store.integrate(round(&Frontier::new(), &waiting)).await.unwrap());
    store.commit(fresh.after(&start).admit(1, 1, 1)).await.unwrap();
    let session = SessionRecord {
        key: Digest::of(b"browser"),
        principal: Principal::user(tenant("a"), "jo"),
        name: "Jo".to_owned(),
        groups: [].into(),
        created_at: tick(),
        used_at: tick(),
        expires_at: tick(),
        revocations: 0,
        proof: None,
    };
    store.begin(&session, Timestamp::EPOCH).await.unwrap();
    let lease = Duration::from_secs(600);
    let query = ClaimQuery {
        node: "one".to_owned(),
        tenants: vec![tenant("a"), tenant("b")],
        lease,
        due_by: Timestamp::EPOCH,
        limit: 9,
    };
    assert_eq!(backend.store.system().claim(query).await.unwrap().len(), 1);
    assert!(backend.store.system().lead("one", lease, &tenant("a")).await.unwrap());
}

fn approval(at: &Position) -> ApprovalRecord {
    ApprovalRecord {
        approval: ApprovalId::generate(tick(), &SystemEntropy).unwrap(),
        run: at.run.clone(),
        step: StepSeq(1),
        attempt: Attempt(1),
        kind: ApprovalKind::Gate,
        groups: [].into(),
        worker: ResourceName::new("finance/w").unwrap(),
        function: "crm.delete-customer".parse().unwrap(),
        binding: Digest::of(b"binding"),
        view: Stored { commitment: Digest::of(b"view"), labels: Labels::default(), size: 1 },
        asked_at: tick(),
        expires_at: tick(),
        state: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
        answer: None,
        proof: None,
    }
}

/// A connection with hand-written SQL, without anything of the store's.
async fn by_hand(url: &str) -> PgConnection {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::query("SET search_path = mandate").execute(&mut conn).await.unwrap();
    conn
}

async fn say(conn: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(conn).await?.rows_affected())
}

async fn count(conn: &mut PgConnection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query(AssertSqlSafe(sql)).fetch_one(conn).await.unwrap().get(0)
}

fn tables(database: &Database) -> Vec<String> {
    let found = Server::shared().psql(
        &database.name,
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'mandate' AND column_name = 'tenant'
         AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'mandate') ORDER BY 1",
    );
    assert!(found.len() >= 18, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_setting_nothing_is_seen() {
    let backend = fresh();
    furnish(&backend).await;
    for url in [&backend.database.url, &backend.database.owner_url] {
        let mut conn = by_hand(url).await;
        for table in tables(&backend.database) {
            assert_eq!(count(&mut conn, &table).await, 0, "{table}");
            for (of, expected) in [("b", false), ("a", true), ("", false)] {
                let mut tx = conn.begin().await.unwrap();
                sqlx::query("SELECT set_config('mandate.tenant', $1, true)").bind(of).execute(&mut *tx).await.unwrap();
                assert_eq!(count(&mut tx, &table).await > 0, expected, "{table} as {of:?}");
                tx.commit().await.unwrap();
            }
            // The setting went with its transaction.
            assert_eq!(count(&mut conn, &table).await, 0, "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_rows_are_not_written() {
    let backend = fresh();
    furnish(&backend).await;
    let mut conn = by_hand(&backend.database.url).await;
    say(&mut conn, "SET mandate.tenant = 'b'").await.unwrap();
    say(&mut conn, "INSERT INTO tenants (tenant) VALUES ('b')").await.unwrap();
    let inserts = [
        "INSERT INTO tenants (tenant) VALUES ('c')",
        "INSERT INTO journal (tenant, run, seq, event) VALUES ('a', 'r', 1, '')",
        "INSERT INTO timers (tenant, run, name, due) VALUES ('a', 'r', 'n', 1)",
        "INSERT INTO ledger_pending (tenant, bytes) VALUES ('a', '')",
        "INSERT INTO secrets (tenant, kind, name, version, sealed, created_at) VALUES ('a', 'k', 'n', 9, '', 1)",
        "INSERT INTO epochs (tenant, kind, name, epoch) VALUES ('a', 'tenant', '', 9)
            ON CONFLICT (tenant, kind, name) DO UPDATE SET epoch = 9",
    ];
    for sql in inserts {
        let refused = say(&mut conn, sql).await.unwrap_err().to_string();
        assert!(refused.contains("row-level security"), "{sql}: {refused}");
    }
    let changes = [
        "UPDATE tenants SET revocations = 99 WHERE tenant = 'a'",
        "UPDATE run_state SET epoch = 99",
        "UPDATE leases SET ended_at = 1",
        "UPDATE timers SET due = 1",
        "UPDATE approvals SET state = 'approved'",
        "UPDATE epochs SET epoch = 0",
        "UPDATE sessions SET used_at = 1",
        "UPDATE arrivals SET ciphertext = NULL",
        "UPDATE schedules SET version = 9",
        "UPDATE resources SET deleted = true",
        "UPDATE ledger_heads SET size = 0",
        "DELETE FROM timers",
        "DELETE FROM sessions",
        "DELETE FROM secrets",
        "DELETE FROM ledger_pending",
    ];
    for sql in changes {
        assert_eq!(say(&mut conn, sql).await.unwrap(), 0, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_that_works_can_not_free_itself() {
    let backend = fresh();
    furnish(&backend).await;
    let mut conn = by_hand(&backend.database.url).await;
    say(&mut conn, "SET mandate.tenant = 'a'").await.unwrap();
    let refused = [
        "ALTER TABLE runs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE runs NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY own_tenant ON runs",
        "CREATE POLICY mine ON runs USING (true)",
        "ALTER POLICY own_tenant ON runs USING (true)",
        "SET ROLE mandate_owner",
        "SET SESSION AUTHORIZATION mandate_owner",
        "ALTER ROLE mandate_app BYPASSRLS",
        "GRANT mandate_owner TO mandate_app",
        "ALTER TABLE runs OWNER TO mandate_app",
        "CREATE TABLE mandate.mine (x int)",
        "CREATE OR REPLACE FUNCTION system_next_due() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        // What is only ever added to stays as it was written.
        "UPDATE journal SET event = ''",
        "DELETE FROM journal",
        "UPDATE ledger_entries SET bytes = ''",
        "DELETE FROM ledger_entries",
        "DELETE FROM ledger_nodes",
        "DELETE FROM admissions",
        "UPDATE runs SET initiator = 'user:else'",
        "UPDATE resource_versions SET spec = ''",
        "UPDATE secrets SET sealed = ''",
        "UPDATE approvals SET asked = ''",
        "UPDATE run_state SET tenant = 'b'",
        "UPDATE schema_version SET version = 99",
        // Claims are made by the owner's functions alone.
        "INSERT INTO claims (tenant, run, node, until) VALUES ('a', 'r', 'one', now())",
        "UPDATE claims SET node = 'two'",
        "DELETE FROM claims",
        "TRUNCATE runs CASCADE",
    ];
    for sql in refused {
        let error = say(&mut conn, sql).await.unwrap_err();
        let code = error.as_database_error().and_then(|e| e.code()).unwrap().into_owned();
        assert_eq!(code, "42501", "{sql}: {error}");
    }
    // The owner's way across tenants is the owner's, whatever is set here.
    say(&mut conn, "SET mandate.tenant = 'b'; ").await.unwrap();
    say(&mut conn, "SET mandate.system = 'on'").await.unwrap();
    for table in tables(&backend.database) {
        assert_eq!(count(&mut conn, &table).await, 0, "{table}");
    }
    // Without row-level security a query is an error, not an answer.
    say(&mut conn, "SET row_security = off").await.unwrap();
    assert!(say(&mut conn, "SELECT * FROM runs").await.is_err());
}

/// The closed list: nothing is added to it without being added here, and what they give are ids and times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_without_a_tenant_are_a_closed_list() {
    let backend = fresh();
    let functions = Server::shared().psql(
        &backend.database.name,
        "SELECT p.proname || ' ' || pg_get_function_result(p.oid) || ' ' || p.prosecdef || ' ' || array_to_string(p.proconfig, ',')
         FROM pg_proc p WHERE p.pronamespace = 'mandate'::regnamespace ORDER BY 1",
    );
    let pinned = "true search_path=mandate, pg_temp";
    let ids = "TABLE(tenant text, run text)";
    let expected = [
        format!("system_acquire TABLE(epoch bigint) {pinned}"),
        format!("system_ask boolean {pinned}"),
        format!("system_asked {ids} {pinned}"),
        format!("system_claim TABLE(tenant text, run text, epoch bigint) {pinned}"),
        format!("system_due {ids} {pinned}"),
        format!("system_hold {ids} {pinned}"),
        format!("system_lead boolean {pinned}"),
        format!("system_next_due bigint {pinned}"),
        format!("system_release void {pinned}"),
        format!("system_tenants TABLE(tenant text) {pinned}"),
        format!("system_unfinished {ids} {pinned}"),
    ];
    assert_eq!(functions, expected);
    let strangers = "SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.pronamespace = 'mandate'::regnamespace AND a.grantee = 0";
    assert_eq!(Server::shared().psql(&backend.database.name, strangers), ["0"]);
}

async fn refusal(config: PostgresConfig) -> StoreError {
    mandate_store::PostgresStore::open(config).await.map(drop).unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opens_only_where_it_is_confined_and_durable() {
    let server = Server::shared();
    let database = server.database();
    let alone = |url: &str| PostgresConfig::new(Secret::new(url.to_owned()), None);
    let told = |error: StoreError, expected: &str| {
        let text = error.to_string();
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(!text.contains(crate::server::PASSWORD), "{text}");
    };
    told(refusal(alone(&database.url)).await, "no schema of Mandate");
    open(&database, |_| ()).await.unwrap().close().await;
    open(&database, |_| ()).await.unwrap().close().await;
    mandate_store::PostgresStore::open(alone(&database.url)).await.unwrap().close().await;
    told(refusal(alone(&database.root_url)).await, "is a superuser");
    told(refusal(alone(&database.owner_url)).await, "owns Mandate's tables");
    told(
        refusal(alone(&database.url.replace(crate::server::PASSWORD, "wrong"))).await,
        "password authentication failed",
    );
    told(refusal(alone("mysql://somewhere")).await, "has to begin with postgres://");
    told(refusal(alone("postgres://mandate_app:CANARY-PASSWORD-5d41@db.example/x")).await, "sslmode=verify-full");
    told(refusal(alone("postgres://mandate_app:CANARY-PASSWORD-5d41@db:x/y")).await, "not of the form");
    let name = &database.name;
    server.psql(name, "ALTER TABLE mandate.journal NO FORCE ROW LEVEL SECURITY");
    told(refusal(alone(&database.url)).await, "not forced on table journal");
    server.psql(name, "ALTER TABLE mandate.journal FORCE ROW LEVEL SECURITY");
    server.psql(name, &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    told(refusal(alone(&database.url)).await, "synchronous_commit = off");
    server.psql(name, &format!("ALTER DATABASE {name} RESET synchronous_commit"));
    server.psql(name, "INSERT INTO mandate.schema_version VALUES (99)");
    told(refusal(alone(&database.url)).await, "schema version 99 is newer");
    told(open(&database, |_| ()).await.map(drop).unwrap_err(), "schema version 99 is newer");
    let theirs = server.database();
    server.psql(&theirs.name, "CREATE SCHEMA mandate AUTHORIZATION mandate_owner; CREATE TABLE mandate.theirs (x int)");
    told(open(&theirs, |_| ()).await.map(drop).unwrap_err(), "is not Mandate's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_can_not_be_kept_is_told() {
    let backend = fresh();
    let store = backend.store.of(&caller("a"));
    assert_eq!(store.resource("Worker", "a\0b").await.unwrap(), None);
    assert!(store.secrets("a\0b").await.unwrap().is_empty());
    store.change(Change { revoke: vec![EpochKey::User("jo".to_owned())], ..change("a") }).await.unwrap();
    let keys = ["a\0b", "jo", "al"].map(|name| EpochKey::User(name.to_owned()));
    let standing = store.standing(&keys).await.unwrap();
    assert_eq!((standing.epochs, standing.revocations), (vec![0, 1, 0], 1));
    let refused = store.change(Change { revoke: vec![EpochKey::User("a\0b".to_owned())], ..change("a") }).await;
    assert!(refused.unwrap_err().to_string().contains("NUL"));
}
