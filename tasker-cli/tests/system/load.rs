//! Ten times as many tasks as the system can run: it takes what it can, says so where it cannot, and
//! does all that it took.
//!
//! A short run is a test like the others and says nothing about speed. The long one, `make load`,
//! prints what it saw.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use tasker_testing::Durability;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::channels::{blocked_sends, wait_until_healthy};
use super::templates::LINEAR;
use super::world::{NAMESPACE, Role, World, http};

/// Tasks of one request.
const BATCH: u32 = 100;

/// How much more is offered than can be done.
const TIMES: f64 = 10.0;

/// Requests without an answer that the client keeps: the API has 512 in progress, and many systems
/// give a process 1,024 sockets.
const REQUESTS_UNDER_WAY: usize = 700;

/// Open tasks that are kept up to find out what the system can do.
const OPEN: i64 = 1000;

/// How often the client looks what is due.
const TICK: Duration = Duration::from_millis(5);

/// Memory that neither role may ever need: bodies of requests may have 128 MiB, and the values they
/// are read into take a few times that.
const MOST_MEBIBYTES: u64 = 768;

struct Plan {
    durability: Durability,
    environment: &'static [(&'static str, &'static str)],
    calibration: Duration,
    flood: Duration,
    patience: Duration,
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Answers {
    accepted: u32,
    /// Status 429 or 503, with the time to try again after.
    busy: u32,
    /// Not sent, because too many were without an answer.
    kept_back: u32,
    /// Anything else, which breaks the promise.
    wrong: Vec<String>,
}

enum Answer {
    Accepted,
    Busy,
    Wrong(String),
}

/// A client of the API that sends the same batch over and over.
#[derive(Clone)]
struct Submitter {
    http: reqwest::Client,
    url: String,
    body: Arc<str>,
}

impl Submitter {
    fn to(role: &Role) -> Self {
        let task = json!({ "namespace": NAMESPACE, "name": "linear" });
        let tasks = vec![task; BATCH as usize];
        Self {
            http: http(),
            url: format!("{}/v1/tasks/batch", role.address),
            body: json!({ "tasks": tasks }).to_string().into(),
        }
    }

    async fn submit(&self) -> Answer {
        let request = self.http.post(&self.url).body(self.body.to_string());
        let request = request.header(CONTENT_TYPE, "application/json");
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer::Wrong(format!("{error:?}")),
        };
        let status = response.status();
        let may_come_back = response.headers().contains_key(RETRY_AFTER);
        let text = match response.text().await {
            Ok(text) => text,
            Err(error) => return Answer::Wrong(format!("{status}: {error:?}")),
        };
        match status {
            StatusCode::CREATED => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(answer["tasks"].as_array().unwrap().len(), BATCH as usize);
                Answer::Accepted
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if may_come_back => {
                Answer::Busy
            }
            _ => Answer::Wrong(format!("{status}: {text}")),
        }
    }
}

impl Answers {
    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Accepted => self.accepted += 1,
            Answer::Busy => self.busy += 1,
            Answer::Wrong(what) => self.wrong.push(what),
        }
    }
}

/// Tasks a second that the system completes while some are always open; and the batches it took.
async fn calibrate(world: &World, submitter: &Submitter, time: Duration) -> (f64, u32) {
    let started = Instant::now();
    let mut batches = 0;
    let open = "select count(*) from tasker.tasks where state in ('pending', 'in_progress')";
    loop {
        let open: i64 = world.value(open).await;
        if started.elapsed() >= time {
            let completed = i64::from(batches * BATCH) - open;
            #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
            return (completed as f64 / started.elapsed().as_secs_f64(), batches);
        }
        if open < OPEN {
            match submitter.submit().await {
                Answer::Accepted => batches += 1,
                Answer::Busy => {}
                Answer::Wrong(what) => panic!("{what}"),
            }
        }
    }
}

/// Sends requests when they are due, whatever became of those before.
async fn flood(submitter: &Submitter, batches_a_second: f64, time: Duration) -> Answers {
    let places = Arc::new(Semaphore::new(REQUESTS_UNDER_WAY));
    let mut under_way = JoinSet::new();
    let mut answers = Answers::default();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let started = Instant::now();
    let mut sent = 0.0;
    while started.elapsed() < time {
        ticks.tick().await;
        while sent < started.elapsed().as_secs_f64() * batches_a_second {
            sent += 1.0;
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                answers.kept_back += 1;
                continue;
            };
            let submitter = submitter.clone();
            under_way.spawn(async move {
                let answer = submitter.submit().await;
                drop(place);
                answer
            });
        }
        while let Some(answer) = under_way.try_join_next() {
            answers.take(answer.unwrap());
        }
    }
    while let Some(answer) = under_way.join_next().await {
        answers.take(answer.unwrap());
    }
    answers
}

/// A value of `/proc/PID/status`, in mebibytes.
fn memory(role: &Role, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", role.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() / 1024
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn run(plan: Plan) {
    let world = World::with_server(plan.durability).await;
    world.apply(LINEAR).await;
    let roles = [
        world.orchestrator(plan.environment).await,
        world.worker(plan.environment).await,
        world.worker(plan.environment).await,
    ];
    let idle = roles.each_ref().map(|role| memory(role, "VmRSS:"));
    let submitter = Submitter::to(&roles[0]);

    let (sustainable, calibrated) = calibrate(&world, &submitter, plan.calibration).await;
    world.wait_for_the_end_of_much(plan.patience).await;
    assert!(sustainable > 0.0);
    let offered = sustainable * TIMES / f64::from(BATCH);
    let answers = flood(&submitter, offered, plan.flood).await;
    let flooded = Instant::now();
    world.wait_for_the_end_of_much(plan.patience).await;
    let drained = flooded.elapsed();

    let sent = answers.accepted + answers.busy;
    let rate = |batches: u32| f64::from(batches * BATCH) / plan.flood.as_secs_f64();
    println!("{:<36}{sustainable:>10.0}", "sustainable, tasks/s");
    println!(
        "{:<36}{:>10.0}",
        "meant to be offered, tasks/s",
        offered * f64::from(BATCH)
    );
    println!("{:<36}{:>10.0}", "offered, tasks/s", rate(sent));
    println!(
        "{:<36}{:>10.0}",
        "accepted, tasks/s",
        rate(answers.accepted)
    );
    println!("{:<36}{:>10}", "accepted, tasks", answers.accepted * BATCH);
    println!(
        "{:<36}{:>10}",
        "answered 429 or 503, requests", answers.busy
    );
    println!(
        "{:<36}{:>10}",
        "kept back by the client, requests", answers.kept_back
    );
    println!(
        "{:<36}{:>10}",
        "other answers, requests",
        answers.wrong.len()
    );
    println!(
        "{:<36}{:>10.1}",
        "until all was done after it, s",
        drained.as_secs_f64()
    );
    let size = "select pg_size_pretty(pg_database_size(current_database()))";
    let size: String = world.value(size).await;
    println!("{:<36}{size:>10}", "the database after it");
    for ((role, idle), name) in roles
        .iter()
        .zip(idle)
        .zip(["orchestrator", "worker 1", "worker 2"])
    {
        let peak = memory(role, "VmHWM:");
        let blocked = blocked_sends(role).await;
        println!(
            "{:<36}{:>10}",
            format!("{name}, idle to peak RSS, MiB"),
            format!("{idle} → {peak}")
        );
        println!("{:<36}{blocked:>10}", format!("{name}, sends that waited"));
        assert!(peak <= MOST_MEBIBYTES, "{name} needed {peak} MiB");
    }

    assert!(answers.wrong.is_empty(), "{:?}", &answers.wrong[0]);
    assert!(answers.accepted > 0, "{answers:?}");
    let expected = i64::from((calibrated + answers.accepted) * BATCH);
    let (complete, all): (i64, i64) = (
        world
            .value("select count(*) from tasker.tasks where state = 'complete'")
            .await,
        world.value("select count(*) from tasker.tasks").await,
    );
    assert_eq!(
        (complete, all),
        (expected, expected),
        "complete, there, expected"
    );
    for role in &roles {
        wait_until_healthy(role).await;
    }
    world.end(roles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_of_too_much_is_done_and_the_rest_is_told_to_come_back() {
    run(Plan {
        durability: Durability::Disposable,
        // Few, so that some are refused.
        environment: &[("TASKER__WEB__MAX_CONCURRENT_REQUESTS", "4")],
        calibration: Duration::from_secs(1),
        flood: Duration::from_secs(1),
        patience: Duration::from_mins(5),
    })
    .await;
}

/// The load test of `make load`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and the whole machine: make load"]
async fn ten_times_the_sustainable_rate_for_a_minute() {
    let run = run(Plan {
        durability: Durability::Production,
        environment: &[("TASKER_ENV", "production")],
        calibration: Duration::from_secs(15),
        flood: Duration::from_mins(1),
        patience: Duration::from_mins(30),
    });
    timeout(Duration::from_hours(1), run).await.unwrap();
}
