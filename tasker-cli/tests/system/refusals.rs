//! A server that takes no writes for a while, or a password that was changed: health says so, and all
//! goes on by itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use tasker_testing::{FaultProxy, TestServer, WAIT_TIMEOUT, wait_until};

use super::templates::LINEAR;
use super::world::{NO_POLLING, Role, World, http};

/// How long everything may take when the server is itself again.
const SECONDS: Duration = Duration::from_secs(20);

/// The status of the readiness probe, and what it says.
async fn readiness(role: &Role) -> (u16, String) {
    let url = format!("{}/health/ready", role.address);
    let answer = http().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn wait_for_readiness(roles: &[Role], status: u16, text: &str) {
    for role in roles {
        let what = format!("a process answers {status} with {text:?}");
        wait_until(&what, WAIT_TIMEOUT, async || {
            let (found, said) = readiness(role).await;
            found == status && said.contains(text)
        })
        .await;
    }
}

/// Runs one task to its end, within seconds.
async fn assert_works(world: &World) {
    let began = Instant::now();
    world.submit("linear", 1).await;
    world.wait_for_the_end().await;
    let lasted = began.elapsed();
    assert!(lasted < SECONDS, "{lasted:?}");
}

#[tokio::test]
async fn everything_goes_on_after_a_server_took_no_writes_for_a_while() {
    let world = World::start().await;
    world.apply(LINEAR).await;
    let roles = [world.orchestrator(&[]).await, world.worker(&[]).await];
    assert_works(&world).await;
    let database: String = world.value("select current_database()::text").await;
    let read_only = async |read_only: &str| {
        let setting = "default_transaction_read_only";
        let alter = format!("alter database {database} set {setting} = {read_only}");
        world.run(&alter).await;
    };

    // The sessions of this test say that they write.
    read_only("on").await;
    let ours = "datname = current_database() and application_name = 'tasker'";
    let terminate =
        format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where {ours}");
    world.value::<i64>(&terminate).await;
    wait_for_readiness(&roles, 503, "read-only").await;
    world.submit("linear", 10).await;
    let began = Instant::now();
    wait_until("the loops have tried in vain", WAIT_TIMEOUT, async || {
        began.elapsed() > Duration::from_secs(3)
    })
    .await;
    read_only("off").await;

    world.wait_for_the_end().await;
    wait_for_readiness(&roles, 200, "ready").await;
    assert_works(&world).await;
    world.assert_complete(12).await;
    world.end(roles).await;
}

#[tokio::test]
async fn a_changed_password_is_read_from_its_file_and_named_until_then() {
    let world = World::of(TestServer::with_passwords().await).await;
    world.apply(LINEAR).await;
    world
        .run("create role app superuser login password 'first'")
        .await;
    let proxy = FaultProxy::to(world.url()).await;
    let url = proxy.url().replace("postgres@", "app@");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let write = |password: &str| {
        fs::write(&file, format!("127.0.0.1:*:*:app:{password}\n")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    };
    write("first");
    let path = file.to_string_lossy().into_owned();
    let mut environment = NO_POLLING.to_vec();
    environment.extend([("DATABASE_URL", &*url), ("PGPASSFILE", &*path)]);
    environment.push(("TASKER__EVENT_SYSTEMS__LISTENER__RECONNECT_MAX_MS", "500"));
    let roles = [
        world.orchestrator(&environment).await,
        world.worker(&environment).await,
    ];
    assert_works(&world).await;

    world.run("alter role app password 'second'").await;
    world
        .value::<i64>(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'app'",
        )
        .await;
    for role in &roles {
        wait_until("the log names the password", WAIT_TIMEOUT, async || {
            // A probe is a reason to connect, where nothing else is.
            readiness(role).await.0 == 503
                && role
                    .process
                    .output()
                    .contains("the password was refused (28P01)")
        })
        .await;
    }
    write("second");

    wait_for_readiness(&roles, 200, "ready").await;
    assert_works(&world).await;
    world.assert_complete(2).await;
    world.end(roles).await;
}
