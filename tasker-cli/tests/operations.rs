//! Commands on a database: templates, tasks, steps, queues, the doctor and migrations.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use serde_json::json;
use tasker_shared::doctor::CHECKS;
use tasker_testing::TestDatabase;
use uuid::Uuid;

use crate::common::{LINEAR, apply, file, submit, tasker_on, tasker_with};

#[tokio::test]
async fn migrating_twice_and_at_the_same_time_is_safe() {
    let db = TestDatabase::empty().await;
    let migrate = || tasker_on(db.url(), &["migrate", "--json"]);
    let (first, second) = tokio::join!(migrate(), migrate());
    first.ok();
    second.ok();
    let third = migrate().await.ok();
    assert_eq!(third.json()["changed"], false);
    let doctor = tasker_on(db.url(), &["doctor", "--json"]).await.ok();
    assert_eq!(doctor.json()["healthy"], true);
}

#[tokio::test]
async fn migrating_tells_which_queues_it_made_logged_or_unlogged() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let migrate = async |unlogged: &str, args: &[&str]| {
        let set = [("TASKER__DATABASE__UNLOGGED_QUEUES", unlogged)];
        let args = [&["migrate"], args].concat();
        tasker_with(db.url(), &args, &set).await.ok()
    };

    let unlogged = migrate("true", &[]).await;
    let again = migrate("true", &["--json"]).await.json();
    let logged = migrate("false", &["--json"]).await.json();
    let at_last = migrate("false", &[]).await;

    assert_eq!(
        unlogged.stdout,
        "the schema was up to date\n1 queue is unlogged now, as new ones will be\n"
    );
    assert_eq!(
        again,
        json!({ "changed": false, "unlogged_queues": true, "queues_switched": 0 })
    );
    assert_eq!(
        logged,
        json!({ "changed": true, "unlogged_queues": false, "queues_switched": 1 })
    );
    assert_eq!(at_last.stdout, "the schema was up to date\n");
}

#[tokio::test]
async fn commands_and_roles_on_an_empty_database_say_to_migrate() {
    let db = TestDatabase::empty().await;
    for args in [
        &["task", "list"][..],
        &["doctor"],
        &["orchestrator", "--bind", "127.0.0.1:0"],
        &["worker"],
    ] {
        tasker_on(db.url(), args)
            .await
            .refused(1, &["tasker migrate"]);
    }
}

#[tokio::test]
async fn a_template_is_applied_once_and_its_version_never_changes() {
    let db = TestDatabase::create().await;
    let good = file(LINEAR, ".yaml");
    let args = ["template", "apply", good.path().to_str().unwrap(), "--json"];
    for created in [true, false] {
        let applied = tasker_on(db.url(), &args).await.ok().json();
        assert_eq!(applied["templates"][0]["created"], created);
    }
    let changed = file(&LINEAR.replace("42", "43"), ".yaml");
    let args = ["template", "apply", changed.path().to_str().unwrap()];
    let answer = tasker_on(db.url(), &args).await;
    answer.refused(1, &["shop/linear", "1.0.0", "hint:"]);
}

#[tokio::test]
async fn of_several_templates_all_or_none_are_applied() {
    let db = TestDatabase::create().await;
    let good = file(LINEAR, ".yaml");
    let bad = file("namespace: shop\n", ".yaml");
    let (good, bad) = (good.path().to_str().unwrap(), bad.path().to_str().unwrap());
    let answer = tasker_on(db.url(), &["template", "apply", good, bad]).await;
    answer.refused(1, &[bad, "nothing was applied"]);
    let listed = tasker_on(db.url(), &["template", "list", "--json"]).await;
    assert_eq!(listed.ok().json()["templates"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_stored_template_is_listed_and_what_is_shown_can_be_applied_again() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let listed = tasker_on(db.url(), &["template", "list"]).await.ok();
    assert!(listed.stdout.contains("shop/linear@1.0.0"), "{listed:#?}");
    let shown = tasker_on(db.url(), &["template", "show", "shop/linear"])
        .await
        .ok();
    let again = file(&shown.stdout, ".json");
    let args = ["template", "apply", again.path().to_str().unwrap()];
    let answer = tasker_on(db.url(), &args).await.ok();
    assert_eq!(answer.stdout, "unchanged shop/linear@1.0.0\n");
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let db = TestDatabase::create().await;
    let nobody = Uuid::nil().to_string();
    for (args, text) in [
        (&["task", "show", &nobody][..], nobody.as_str()),
        (&["task", "show", &nobody, "--watch"], &nobody),
        (&["task", "cancel", &nobody], &nobody),
        (&["task", "resolve", &nobody], &nobody),
        (&["step", "retry", &nobody, "first"], "hint:"),
        (&["step", "skip", &nobody, "first"], "hint:"),
        (&["template", "show", "shop/order"], "shop/order"),
        (&["task", "submit", "shop/order"], "shop/order"),
    ] {
        tasker_on(db.url(), args).await.refused(1, &[text]);
    }
}

#[tokio::test]
async fn an_unknown_template_is_refused_with_the_one_that_is_meant() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    for args in [
        &["task", "submit", "shop/linaer"][..],
        &["template", "show", "shop/linaer"],
        &["task", "submit", "shpo/linear"],
    ] {
        let answer = tasker_on(db.url(), args).await;
        answer.refused(1, &["there is no template", "did you mean `shop/linear`?"]);
    }
    let answer = tasker_on(db.url(), &["task", "submit", "bank/transfer"]).await;
    answer.refused(1, &["hint: apply it with `tasker template apply FILE`"]);
}

#[tokio::test]
async fn a_context_that_its_schema_refuses_says_why() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let args = ["task", "submit", "shop/linear", "--context", "{}"];
    tasker_on(db.url(), &args).await.refused(1, &["order_id"]);
}

#[tokio::test]
async fn a_character_that_cannot_be_stored_is_no_bug_of_ours() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let context = r#"{"order_id": 1, "note": "\u0000"}"#;
    let args = ["task", "submit", "shop/linear", "--context", context];
    let answer = tasker_on(db.url(), &args).await;
    answer.refused(1, &["holds the character \\u0000", "hint: leave"]);
}

#[tokio::test]
async fn a_known_idempotency_key_gives_the_first_task() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let context = file("{\"order_id\": 1}", ".json");
    let context = format!("@{}", context.path().display());
    let args = [
        "task",
        "submit",
        "shop/linear@1.0.0",
        "--context",
        &context,
        "--idempotency-key",
        "k",
        "--priority",
        "-3",
        "--json",
    ];
    let first = tasker_on(db.url(), &args).await.ok().json();
    let second = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(first["created"], true);
    assert_eq!(second["created"], false);
    assert_eq!(first["task_uuid"], second["task_uuid"]);
}

#[tokio::test]
async fn pages_of_tasks_follow_each_other() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let mut submitted = Vec::new();
    for _ in 0..3 {
        submitted.push(submit(db.url(), "shop/linear", "{\"order_id\": 1}").await);
    }
    let args = [
        "task",
        "list",
        "--namespace",
        "shop",
        "--limit",
        "2",
        "--json",
    ];
    let page = tasker_on(db.url(), &args).await.ok().json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let mut args = args.to_vec();
    args.extend(["--cursor", &cursor]);
    let rest = tasker_on(db.url(), &args).await.ok().json();
    assert!(rest["next_cursor"].is_null());
    let mut listed: Vec<String> = [&page, &rest]
        .iter()
        .flat_map(|page| page["tasks"].as_array().unwrap())
        .map(|task| task["task_uuid"].as_str().unwrap().to_owned())
        .collect();
    listed.reverse();
    assert_eq!(listed, submitted);

    let args = ["task", "list", "--state", "complete"];
    assert_eq!(tasker_on(db.url(), &args).await.ok().stdout, "no tasks\n");
}

#[tokio::test]
async fn a_task_is_named_by_the_digits_that_lists_show() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    let other = submit(db.url(), "shop/linear", "{\"order_id\": 2}").await;
    let short = &task[24..32];
    let listed = tasker_on(db.url(), &["task", "list"]).await.ok();
    assert!(listed.stdout.contains(short), "{listed:#?}");

    let shown = tasker_on(db.url(), &["task", "show", short, "--json"]).await;
    assert_eq!(shown.ok().json()["task_uuid"], task.as_str());
    tasker_on(db.url(), &["task", "show", &task[..24]])
        .await
        .ok();
    let step = format!("{}0002", &task[..32]);
    tasker_on(db.url(), &["task", "show", &step]).await.ok();
    let of_step = ["step", "show", short, "first", "--json"];
    let of_step = tasker_on(db.url(), &of_step).await.ok().json();
    assert_eq!(of_step["name"], "first");
    let page = ["task", "list", "--cursor", &other[24..], "--json"];
    let page = tasker_on(db.url(), &page).await.ok().json();
    assert_eq!(page["tasks"].as_array().unwrap().len(), 1);
    let skip = ["step", "skip", short, "first"];
    tasker_on(db.url(), &skip).await.ok();
    tasker_on(db.url(), &["task", "cancel", short]).await.ok();

    let answer = tasker_on(db.url(), &["task", "cancel", &task[..6]]).await;
    answer.refused(
        1,
        &["more than one task", &task, &other, "give more digits"],
    );
    let nobody = "fffffff0";
    for args in [
        &["task", "show", nobody][..],
        &["task", "resolve", nobody],
        &["step", "retry", nobody, "first"],
        &["step", "show", nobody, "first"],
    ] {
        let answer = tasker_on(db.url(), args).await;
        answer.refused(1, &["no task whose UUID has fffffff0", "tasker task list"]);
    }
}

#[tokio::test]
async fn tasks_are_listed_by_time_and_key() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let context = "{\"order_id\": 1}";
    let args = ["task", "submit", "shop/linear", "--context", context];
    let keyed = [&args[..], &["--idempotency-key", "order-1"]].concat();
    tasker_on(db.url(), &keyed).await.ok();
    tasker_on(db.url(), &args).await.ok();
    for (filter, count) in [
        (&["--since", "1h"][..], 2),
        (&["--until", "1h"], 0),
        (&["--since", "2020-01-01", "--key", "order-1"], 1),
        (&["--key", "order-2"], 0),
        (&["--step", "first"], 0),
        (&["--error", "refused", "--state", "complete"], 0),
    ] {
        let args = [&["task", "list", "--json"], filter].concat();
        let listed = tasker_on(db.url(), &args).await.ok().json();
        let tasks = listed["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), count, "{filter:?}");
    }
}

#[tokio::test]
async fn a_task_is_shown_with_what_goes_in_and_what_comes_out() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let note = "x".repeat(200);
    let context = format!("{{\"order_id\": 1, \"note\": \"{note}\"}}");
    let task = submit(db.url(), "shop/linear", &context).await;
    let args = ["step", "resolve", &task, "first", "--result", "[1]"];
    tasker_on(db.url(), &args).await.ok();

    let columns = [("COLUMNS", "80"), ("LANG", "C.UTF-8")];
    let shown = tasker_with(db.url(), &["task", "show", &task], &columns).await;
    let shown = shown.ok().stdout;
    for line in [
        "(task)  context  {\"note\":\"xxx",
        "first   result   [1]\n",
        "second  input    {\"answer\":42}\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let folded = shown.lines().filter(|line| line.contains("context"));
    assert_eq!(folded.map(|line| line.chars().count()).max(), Some(80));

    let whole = tasker_on(db.url(), &["task", "show", &task, "--full"]).await;
    assert!(whole.ok().stdout.contains(&note));
}

#[tokio::test]
async fn an_operator_settles_steps_and_the_task_shows_it() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    let args = ["step", "skip", &task, "first", "--reason", "not today"];
    let skipped = tasker_on(db.url(), &args).await.ok();
    assert!(
        skipped.stdout.starts_with("step first is skipped"),
        "{skipped:#?}"
    );
    let args = [
        "step", "resolve", &task, "second", "--result", "[1]", "--json",
    ];
    let resolved = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(resolved["step_state"], "resolved_manually");
    assert_eq!(resolved["task_state"], "complete");

    let shown = tasker_on(db.url(), &["task", "show", &task, "--ascii"])
        .await
        .ok();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(
        lines[2..4],
        ["s first   skipped", "m second  resolved_manually"],
        "{shown:#?}"
    );

    let args = ["task", "show", &task, "--history", "--json"];
    let history = tasker_on(db.url(), &args).await.ok().json();
    let moves = history["history"].as_array().unwrap();
    let skip = moves
        .iter()
        .find(|one| one["to_state"] == "skipped")
        .unwrap();
    assert_eq!(skip["reason"], "not today");
    assert!(skip["actor"].as_str().unwrap().starts_with("operator:"));

    tasker_on(db.url(), &["doctor"]).await.ok();
}

#[tokio::test]
async fn a_move_that_the_state_forbids_is_refused() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    for args in [
        &["step", "retry", &task, "first"][..],
        &["task", "resolve", &task],
    ] {
        tasker_on(db.url(), args).await.refused(1, &["pending"]);
    }
    let args = ["task", "cancel", &task, "--reason", "enough"];
    tasker_on(db.url(), &args).await.ok();
    let args = ["step", "skip", &task, "first"];
    tasker_on(db.url(), &args).await.refused(1, &["cancelled"]);
    let shown = tasker_on(db.url(), &["task", "show", &task]).await.ok();
    assert!(shown.stdout.contains("reason: enough"), "{shown:#?}");
}

#[tokio::test]
async fn waiting_ends_when_the_time_is_over() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let args = [
        "task",
        "submit",
        "shop/linear",
        "--context",
        "{\"order_id\": 1}",
        "--wait",
        "--wait-timeout",
        "0.01",
    ];
    let answer = tasker_on(db.url(), &args).await;
    answer.refused(
        1,
        &["within the time to wait", "pending", "tasker task show"],
    );
    assert!(Uuid::parse_str(answer.stdout.trim()).is_ok(), "{answer:#?}");
}

#[tokio::test]
async fn queues_are_listed() {
    let db = TestDatabase::create().await;
    let none = tasker_on(db.url(), &["queue", "list"]).await.ok();
    assert!(none.stdout.starts_with("no queues"), "{none:#?}");
    apply(db.url(), LINEAR).await;
    let listed = tasker_on(db.url(), &["queue", "list", "--json"])
        .await
        .ok()
        .json();
    assert_eq!(listed["queues"][0]["queue_name"], "worker_shop_queue");
}

/// A step that every worker can run, and one that none can.
const LATE: &str = "\
namespace: shop
name: late
version: 1.0.0
steps:
  - { name: early, handler: builtin.noop }
  - { name: late, handler: late.one }
";

#[tokio::test]
async fn steps_that_nobody_can_run_are_told_of_in_every_list_and_fail_no_check() {
    let db = TestDatabase::create().await;
    apply(db.url(), LATE).await;
    let task = submit(db.url(), "shop/late", "{}").await;
    sqlx::raw_sql(
        "select tasker.claim_ready_tasks('test', 10);
         select tasker.register_process(gen_random_uuid(), 'w', 'worker', 'h', 7, '0', 'Hybrid',
           '{}', '{builtin.noop}', 10, 3, 0)",
    )
    .execute(&db.pool())
    .await
    .unwrap();

    let shown = tasker_on(db.url(), &["task", "show", &task]).await.ok();
    let note = "no worker knows the handler 'late.one'";
    let lines = shown.stdout.lines().filter(|line| line.contains(note));
    assert_eq!(lines.count(), 1, "{shown:#?}");
    let listed = tasker_on(db.url(), &["task", "list"]).await.ok();
    assert!(
        listed.stdout.contains("in_progress, no worker"),
        "{listed:#?}"
    );

    let queues = tasker_on(db.url(), &["queue", "list"]).await.ok();
    let expected = "shop: no worker knows the handler 'late.one', 1 step waits for it";
    assert!(queues.stdout.contains(expected), "{queues:#?}");
    assert!(queues.stdout.contains("3/10"), "{queues:#?}");

    let doctor = tasker_on(db.url(), &["doctor"]).await.ok();
    assert!(doctor.stdout.contains("warning: no live worker"));
    assert!(doctor.stdout.contains("the database is healthy"));
    let doctor = tasker_on(db.url(), &["doctor", "--json"]).await.ok().json();
    assert_eq!(doctor["healthy"], true);
    assert_eq!(doctor["findings"], json!([]));
    let warning = &doctor["warnings"][0];
    assert_eq!(warning["check"], "a_worker_knows_every_handler");
    assert_eq!(warning["handler"], "late.one");
    assert_eq!(warning["steps"], 1);
}

#[tokio::test]
async fn processes_are_listed_and_those_not_seen_are_silent() {
    let db = TestDatabase::create().await;
    let none = tasker_on(db.url(), &["processes"]).await.ok();
    assert!(none.stdout.starts_with("no processes"), "{none:#?}");
    sqlx::raw_sql(
        "select tasker.register_process(gen_random_uuid(), name, role, 'h', 7, '0', 'Hybrid',
           '{shop}', '{late.one}', n, n - 1, 0)
         from (values ('worker-1', 'worker', 2), ('o-1', 'orchestrator', null)) r(name, role, n);
         update tasker.processes set last_seen_at = now() - interval '40 s'
         where role = 'worker'",
    )
    .execute(&db.pool())
    .await
    .unwrap();

    let listed = tasker_on(db.url(), &["processes"]).await.ok();
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{listed:#?}");
    assert!(lines[1].starts_with("orchestrator"), "{listed:#?}");
    assert!(lines[2].contains("1/2") && lines[2].contains("silent 4"));
    let listed = tasker_on(db.url(), &["processes", "--json"]).await.ok();
    let worker = &listed.json()["processes"][1];
    assert_eq!(worker["silent"], true);
    assert_eq!(worker["handlers"], json!(["late.one"]));
}

#[tokio::test]
async fn the_doctor_fails_and_names_what_it_finds() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", "{\"order_id\": 1}").await;
    tasker_on(db.url(), &["doctor"]).await.ok();
    sqlx::query("update tasker.steps set waiting_on = 7 where step_no = 2")
        .execute(&db.pool())
        .await
        .unwrap();

    let answer = tasker_on(db.url(), &["doctor", "--json"]).await;
    assert_eq!(answer.status, Some(1), "{answer:#?}");
    let findings = answer.json()["findings"].clone();
    let finding = &findings[0];
    assert_eq!(finding["check"], "waiting_on_counts_unsatisfied_parents");
    assert_eq!(finding["task_uuid"], task.as_str());
    assert_eq!(finding["step_name"], "second");

    let answer = tasker_on(db.url(), &["doctor"]).await;
    assert_eq!(answer.status, Some(1), "{answer:#?}");
    assert!(
        answer
            .stdout
            .contains("waiting_on_counts_unsatisfied_parents: 1 finding")
    );
    assert!(answer.stdout.contains("no_task_is_stuck: holds"));
}

#[tokio::test]
async fn the_doctor_says_exactly_what_it_checks() {
    let db = TestDatabase::create().await;
    let source: String = sqlx::query_scalar(
        "select prosrc from pg_proc where oid = 'tasker.findings()'::regprocedure",
    )
    .fetch_one(&db.pool())
    .await
    .unwrap();
    let mut checks: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("select '"))
        .filter_map(|rest| rest.split_once('\''))
        .map(|(check, _)| check)
        .collect();
    checks.dedup();
    assert_eq!(checks, CHECKS);
}

#[tokio::test]
async fn a_task_whose_results_are_left_out_says_how_to_read_them() {
    let db = TestDatabase::create().await;
    apply(db.url(), LINEAR).await;
    let task = submit(db.url(), "shop/linear", r#"{"order_id": 1}"#).await;
    for step in ["first", "second"] {
        let large = "select tasker.settle_step($1::uuid, $2, 'skipped', \
                     to_jsonb(repeat('x', 17000000)), 'me')";
        sqlx::query(large)
            .bind(&task)
            .bind(step)
            .execute(&db.pool())
            .await
            .unwrap();
    }

    let shown = tasker_on(db.url(), &["task", "show", &task]).await.ok();
    let remark = format!(
        "results are left out: 34 MB; read one with `tasker step show {task} STEP` or GET \
         /v1/tasks/{task}/steps/{{name}}\n"
    );
    assert!(shown.stdout.contains(&remark), "{}", shown.stdout);
    let args = ["task", "show", &task, "--json"];
    let shown = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(shown["results_omitted"], true);
    assert!(shown["steps"][0]["result_bytes"].as_i64() > Some(17_000_000));

    let args = ["step", "show", &task, "second", "--json"];
    let step = tasker_on(db.url(), &args).await.ok().json();
    assert_eq!(step["result"].as_str().map(str::len), Some(17_000_000));
    let step = tasker_on(db.url(), &["step", "show", &task, "second"])
        .await
        .ok();
    assert!(
        step.stdout
            .starts_with("second: skipped, 0 of 3 attempts of builtin.echo\nresult (17 MB):\n"),
        "{}",
        &step.stdout[..100]
    );
    let args = ["step", "show", &task, "third"];
    tasker_on(db.url(), &args)
        .await
        .refused(1, &["no step named third", "its steps are first, second"]);
}
