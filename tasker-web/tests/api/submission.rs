//! Submission of one task and of many.

use serde_json::{Value, json};

use crate::support::{Api, TEMPLATE};

fn order(members: &Value) -> Value {
    let mut task = json!({"namespace": "shop", "name": "order"});
    let task_members = task.as_object_mut().unwrap();
    task_members.extend(members.as_object().unwrap().clone());
    task
}

async fn count_tasks(api: &Api) -> usize {
    let page = api.get("/v1/tasks?limit=500").await.expect(200);
    page["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_submitted_task_is_found_where_its_location_says() {
    let api = Api::with_template().await;
    let request = order(&json!({
        "version": "1.0.0", "context": {"order_id": 7}, "priority": 3, "idempotency_key": "o-7",
    }));
    let created = api.post("/v1/tasks", &request).await;
    let answer = created.expect(201);
    assert_eq!(answer["created"], true);

    let task = api.get(created.header("location")).await.expect(200);
    assert_eq!(task["task_uuid"], answer["task_uuid"]);
    assert_eq!(task["state"], "pending");
    assert_eq!(task["context"], json!({"order_id": 7}));
    assert_eq!(task["priority"], 3);
    assert_eq!(task["idempotency_key"], "o-7");
    let steps = task["steps"].as_array().unwrap();
    assert_eq!(
        steps.iter().map(|step| &step["name"]).collect::<Vec<_>>(),
        ["charge", "ship"]
    );
    assert_eq!(steps[1]["depends_on"], json!(["charge"]));
    assert_eq!(steps[0]["handler"], "payments.charge");
}

#[tokio::test]
async fn a_known_idempotency_key_gives_the_first_task() {
    let api = Api::with_template().await;
    let first = order(&json!({"idempotency_key": "k", "context": {"order_id": 1}}));
    let second = order(&json!({"idempotency_key": "k", "context": {"order_id": 2}}));
    let first = api.post("/v1/tasks", &first).await.expect(201);
    let second = api.post("/v1/tasks", &second).await;

    assert_eq!(second.expect(200)["task_uuid"], first["task_uuid"]);
    assert_eq!(second.json()["created"], false);
    assert_eq!(count_tasks(&api).await, 1);
}

#[tokio::test]
async fn the_answer_says_whether_the_first_task_of_a_key_has_another_context() {
    let api = Api::with_template().await;
    let submit = async |context: Value| {
        let task = order(&json!({"idempotency_key": "k", "context": context}));
        api.post("/v1/tasks", &task).await.json()["context_differs"].clone()
    };
    assert_eq!(submit(json!({"order_id": 1, "note": "n"})).await, false);
    assert_eq!(submit(json!({"note": "n", "order_id": 1})).await, false);
    assert_eq!(submit(json!({"order_id": 2})).await, true);

    let tasks = [("new", 1), ("new", 2), ("k", 3)]
        .map(|(key, id)| order(&json!({"idempotency_key": key, "context": {"order_id": id}})));
    let answer = api.post("/v1/tasks/batch", &json!({"tasks": tasks})).await;
    let answers = answer.expect(201)["tasks"].as_array().unwrap().clone();
    let told = answers
        .iter()
        .map(|answer| (&answer["created"], &answer["context_differs"]));
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(&yes, &no), (&no, &yes), (&no, &yes)]
    );
}

#[tokio::test]
async fn another_context_under_a_known_key_is_a_conflict_where_that_is_asked_for() {
    let api = Api::with_template().await;
    let strict = |id: i32| {
        order(&json!({
            "idempotency_key": "k", "on_conflict": "reject", "context": {"order_id": id},
        }))
    };
    let first = api.post("/v1/tasks", &strict(1)).await.expect(201);
    let again = api.post("/v1/tasks", &strict(1)).await.expect(200);
    assert_eq!(again["task_uuid"], first["task_uuid"]);

    let problem = api.post("/v1/tasks", &strict(2)).await;
    let problem = problem.problem(409, "conflict");
    let uuid = first["task_uuid"].as_str().unwrap();
    assert_eq!(
        problem["detail"],
        format!("the idempotency key \"k\" was used with another context, for task {uuid}")
    );

    let batch = json!({"tasks": [order(&json!({})), strict(2)]});
    let problem = api.post("/v1/tasks/batch", &batch).await;
    let problem = problem.problem(409, "conflict");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("task 1: the idempotency key"),
        "{detail}"
    );
    assert_eq!(count_tasks(&api).await, 1);
}

#[tokio::test]
async fn a_conflict_takes_none_of_those_along_that_are_submitted_at_the_same_time() {
    let api = Api::with_template().await;
    let task = |key: &str, id: usize| {
        order(&json!({
            "idempotency_key": key, "on_conflict": "reject", "context": {"order_id": id},
        }))
    };
    let tasks: Vec<_> = (0..40)
        .flat_map(|id| [task("shared", id), task(&format!("own-{id}"), id)])
        .collect();
    let answers = futures::future::join_all(tasks.iter().map(|it| api.post("/v1/tasks", it))).await;

    let of = |status| answers.iter().filter(|it| it.status == status).count();
    assert_eq!((of(201), of(409)), (41, 39));
    assert_eq!(count_tasks(&api).await, 41);
}

#[tokio::test]
async fn concurrent_submissions_with_one_key_make_one_task() {
    let api = Api::with_template().await;
    let request = order(&json!({"idempotency_key": "k"}));
    let submissions = (0..8).map(|_| api.post("/v1/tasks", &request));
    let answers = futures::future::join_all(submissions).await;

    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    let uuids = answers
        .iter()
        .map(|answer| answer.json()["task_uuid"].clone());
    let uuids: std::collections::HashSet<_> = uuids.map(|uuid| uuid.to_string()).collect();
    assert_eq!(uuids.len(), 1);
    assert_eq!(count_tasks(&api).await, 1);
}

#[tokio::test]
async fn a_context_that_the_input_schema_refuses_creates_nothing() {
    let api = Api::with_template().await;
    let request = order(&json!({"context": {"order_id": "seven"}}));
    let problem = api.post("/v1/tasks", &request).await;
    let problem = problem.problem(422, "invalid-input");
    assert!(
        problem["detail"].as_str().unwrap().contains("order_id"),
        "{problem}"
    );
    assert_eq!(count_tasks(&api).await, 0);
}

#[tokio::test]
async fn an_unknown_template_or_version_is_not_found() {
    let api = Api::with_template().await;
    let unknown = json!({"namespace": "shop", "name": "refund"});
    let problem = api.post("/v1/tasks", &unknown).await;
    let problem = problem.problem(404, "not-found");
    assert_eq!(problem["detail"], "there is no template shop/refund");
    let unknown = order(&json!({"version": "9.9.9"}));
    api.post("/v1/tasks", &unknown)
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let api = Api::with_template().await;
    let first = api
        .post("/v1/tasks", &order(&json!({"idempotency_key": "b"})))
        .await
        .expect(201);
    let keys = ["a", "b", "c", "a"];
    let tasks = keys.map(|key| order(&json!({"idempotency_key": key})));
    let answer = api.post("/v1/tasks/batch", &json!({"tasks": tasks})).await;

    let answers = answer.expect(201)["tasks"].as_array().unwrap().clone();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[1]["task_uuid"], first["task_uuid"]);
    assert_eq!(answers[1]["created"], false);
    assert_eq!(answers[3]["task_uuid"], answers[0]["task_uuid"]);
    assert_eq!(count_tasks(&api).await, 3);

    let again = api.post("/v1/tasks/batch", &json!({"tasks": tasks})).await;
    again.expect(200);
    let empty = api.post("/v1/tasks/batch", &json!({"tasks": []})).await;
    assert_eq!(empty.expect(200), json!({"tasks": []}));
}

#[tokio::test]
async fn a_batch_with_one_bad_task_creates_nothing_and_names_it() {
    let api = Api::with_template().await;
    let good = order(&json!({}));
    let batch = |bad: Value| json!({"tasks": [good, good, bad]});

    let bad = batch(order(&json!({"context": {"order_id": "x"}})));
    let problem = api.post("/v1/tasks/batch", &bad).await;
    let problem = problem.problem(422, "invalid-input");
    assert!(
        problem["detail"].as_str().unwrap().starts_with("task 2: "),
        "{problem}"
    );

    let bad = batch(order(&json!({"contxt": {}})));
    let problem = api.post("/v1/tasks/batch", &bad).await;
    let problem = problem.problem(422, "invalid-input");
    assert_eq!(problem["errors"][0]["path"], "tasks[2].contxt");

    let bad = batch(order(&json!({"context": {"note": "\0"}})));
    let problem = api.post("/v1/tasks/batch", &bad).await;
    let problem = problem.problem(422, "invalid-input");
    assert_eq!(problem["errors"][0]["path"], "tasks[2].context.note");

    let bad = batch(json!({"namespace": "shop", "name": "nothing"}));
    let problem = api.post("/v1/tasks/batch", &bad).await;
    problem.problem(404, "not-found");
    assert_eq!(count_tasks(&api).await, 0);
}

#[tokio::test]
async fn a_batch_has_a_largest_size() {
    let api = Api::configured(|config| config.web.max_batch_tasks = 2).await;
    api.apply(TEMPLATE).await;
    let tasks = vec![order(&json!({})); 3];
    let problem = api.post("/v1/tasks/batch", &json!({"tasks": tasks})).await;
    let problem = problem.problem(422, "invalid-input");
    assert_eq!(problem["errors"][0]["path"], "tasks");
    assert_eq!(count_tasks(&api).await, 0);
}

#[tokio::test]
async fn a_batch_of_ten_thousand_tasks_is_one_request() {
    let api = Api::with_template().await;
    let tasks = vec![order(&json!({"context": {"order_id": 1}})); 10_000];
    let answer = api.post("/v1/tasks/batch", &json!({"tasks": tasks})).await;
    assert_eq!(
        answer.expect(201)["tasks"].as_array().unwrap().len(),
        10_000
    );
}
