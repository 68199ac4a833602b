//! Evictions: what budgets let go.

use http::{Method, Request, StatusCode};
use k8shost_tests::{MERGE, Rest, Server, http1, pod, revision, text};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

async fn evict(rest: &Rest, status: u16, name: &str, options: Value) -> Value {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
        "deleteOptions": options,
    });
    rest.post(status, &format!("{PODS}/{name}/eviction"), eviction)
        .await
}

async fn budget(rest: &Rest, name: &str, status: Value) {
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}});
    let body = json!({"metadata": {"name": name}, "spec": spec});
    rest.post(201, BUDGETS, body).await;
    let path = format!("{BUDGETS}/{name}/status");
    rest.patch(200, &path, &MERGE, &json!({"status": status}))
        .await;
}

#[tokio::test]
async fn an_eviction_deletes_what_its_budget_lets_go() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    for name in ["a", "b", "c"] {
        rest.run_pod(name).await;
    }
    let status = json!({
        "observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 3,
        "desiredHealthy": 1, "expectedPods": 3,
    });
    budget(&rest, "web", status).await;
    let budget_path = format!("{BUDGETS}/web");
    let before = rest.get(&budget_path).await;

    evict(&rest, 201, "a", json!({"dryRun": ["All"]})).await;
    let wrong = json!({"preconditions": {"uid": "other"}});
    let refused = evict(&rest, 409, "a", wrong).await;
    assert_eq!(refused["reason"], "Conflict");
    assert_eq!(rest.get(&budget_path).await, before, "nothing was taken");
    assert!(rest.get(&format!("{PODS}/a")).await["metadata"]["deletionTimestamp"].is_null());

    let done = evict(&rest, 201, "a", json!({"gracePeriodSeconds": 7})).await;
    assert_eq!(done["status"], "Success");
    let evicted = rest.get(&format!("{PODS}/a")).await;
    assert_eq!(evicted["metadata"]["deletionGracePeriodSeconds"], 7);
    let conditions = evicted["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|one| one["type"] == "DisruptionTarget")
    );
    let after = rest.get(&budget_path).await;
    assert_eq!(after["status"]["disruptionsAllowed"], 0);
    assert!(after["status"]["disruptedPods"]["a"].is_string());
    assert!(revision(&after) < revision(&evicted));
    // It goes already, and counts no second time.
    evict(&rest, 201, "a", json!(null)).await;

    let path = format!("{PODS}/b/eviction");
    let body =
        json!({"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "b"}});
    let busy = rest.post(429, &path, body).await;
    assert_eq!(
        busy,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Cannot evict pod as it would violate the pod's disruption budget.",
            "reason": "TooManyRequests", "code": 429,
            "details": {"causes": [{
                "reason": "DisruptionBudget",
                "message": "The disruption budget web does not allow evicting pods currently",
            }]},
        })
    );
    let unready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    rest.patch(200, &format!("{PODS}/b/status"), &MERGE, &unready)
        .await;
    evict(&rest, 201, "b", json!(null)).await;
    assert_eq!(rest.get(&budget_path).await, after, "it was not ready");

    let change = json!({"spec": {"minAvailable": 2}});
    rest.patch(200, &budget_path, &MERGE, &change).await;
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "c"}});
    let request =
        Request::post(format!("{PODS}/c/eviction")).header("content-type", "application/json");
    let answer = http1(server.address(), request, eviction.to_string().into()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers["retry-after"], "10");
    budget(&rest, "second", json!({})).await;
    let twice = evict(&rest, 500, "c", json!(null)).await;
    assert!(text(&twice, "/message").starts_with("This pod has more than one PodDisruptionBudget"));
    assert!(twice["reason"].is_null());

    rest.post(201, PODS, pod("free")).await;
    evict(&rest, 201, "free", json!(null)).await;
    rest.expect(404, Method::GET, &format!("{PODS}/free"), None)
        .await;
    evict(&rest, 404, "free", json!(null)).await;
    let other = json!({"metadata": {"name": "other"}});
    let refused = rest.post(400, &path, other).await;
    assert_eq!(
        text(&refused, "/message"),
        "name in URL does not match name in Eviction object"
    );
    rest.expect(405, Method::GET, &path, None).await;
}

#[tokio::test]
async fn a_budget_is_never_overdrawn() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let names: Vec<String> = (0..8).map(|i| format!("p{i}")).collect();
    for name in &names {
        rest.run_pod(name).await;
    }
    let status = json!({
        "observedGeneration": 1, "disruptionsAllowed": 3, "currentHealthy": 8,
        "desiredHealthy": 5, "expectedPods": 8,
    });
    budget(&rest, "web", status).await;
    let json = [("content-type", "application/json")];
    let evictions = names.iter().map(|name| {
        let (rest, name) = (rest.clone(), name.clone());
        tokio::spawn(async move {
            let body = json!({"metadata": {"name": name}}).to_string();
            let path = format!("{PODS}/{name}/eviction");
            rest.send(Method::POST, &path, &json, body).await.0
        })
    });
    let mut gone = 0;
    for eviction in evictions.collect::<Vec<_>>() {
        match eviction.await.unwrap() {
            StatusCode::CREATED => gone += 1,
            status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    assert_eq!(gone, 3);
    let pods = rest.get(PODS).await;
    let pods = pods["items"].as_array().unwrap();
    let going = pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(going.count(), 3);
    let after = rest.get(&format!("{BUDGETS}/web")).await;
    let disrupted = after["status"]["disruptedPods"].as_object().unwrap();
    assert_eq!(disrupted.len(), 3);
}
