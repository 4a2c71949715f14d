//! What every page has in common.

use crate::support::Api;

#[tokio::test]
async fn every_page_forbids_what_is_not_of_this_server() {
    let api = Api::start().await;

    for page in ["/ui", "/ui/tasks", "/ui/nothing-there"] {
        let answer = api.get(page).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!answer.text.contains(" style="), "{}", answer.text);
        assert!(
            answer.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
    }
}

#[tokio::test]
async fn a_problem_is_shown_as_a_page() {
    let api = Api::start().await;

    let answer = api.get("/ui/nothing-there").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer
            .text
            .contains("there is no page at /ui/nothing-there")
    );
}
