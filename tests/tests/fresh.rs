//! What a fresh project has: there without being stored, and stored from when it is written.

use http::{Method, StatusCode};
use k8shost_tests::{MERGE, Rest, Server, names};
use serde_json::{Value, json};

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

async fn code(rest: &Rest, path: &str) -> u16 {
    let (status, _) = rest.send(Method::GET, path, &[], "").await;
    status.as_u16()
}

#[tokio::test]
async fn what_a_fresh_project_has_may_be_changed_and_deleted_for_good() {
    let mut server = Server::start().await;
    let client = Rest::of_server(&server).await;
    let view = format!("{ROLES}/view");
    let edit = format!("{ROLES}/edit");
    let service = "/api/v1/namespaces/default/services/kubernetes";
    let listed = client.get(ROLES).await;
    let roles = names(&listed);
    assert!(
        roles.contains(&"cluster-admin") && roles.is_sorted(),
        "{roles:?}"
    );
    assert_eq!(client.get(service).await["spec"]["clusterIP"], "10.96.0.1");
    let accounts = client.get("/api/v1/serviceaccounts").await;
    assert_eq!(names(&accounts), ["default"; 4]);
    let before = client.get(&edit).await;
    assert_eq!(before["metadata"]["resourceVersion"], "1");

    // Its address is taken.
    let taken = json!({
        "metadata": {"name": "s"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
    });
    let services = "/api/v1/namespaces/default/services";
    let json = [("content-type", "application/json")];
    let (status, answer) = client
        .send(Method::POST, services, &json, taken.to_string())
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");

    let mut watch = client
        .watch(&format!(
            "{ROLES}?watch=true&resourceVersion={}",
            client.get(ROLES).await["metadata"]["resourceVersion"]
                .as_str()
                .unwrap()
        ))
        .await;
    client.expect(200, Method::DELETE, &view, None).await;
    let gone = watch.expect("DELETED", "view").await;
    assert_eq!(gone["metadata"]["name"], "view");
    let change = json!({"metadata": {"labels": {"mine": "yes"}}}).to_string();
    let (status, _) = client.send(Method::PATCH, &edit, &MERGE, change).await;
    assert_eq!(status, StatusCode::OK);
    watch.expect("MODIFIED", "edit").await;
    drop(watch);

    let check = async |client: &Rest| {
        assert_eq!(code(client, &view).await, 404);
        let found = client.get(&edit).await;
        assert_eq!(found["metadata"]["labels"]["mine"], "yes");
        assert_eq!(found["metadata"]["uid"], before["metadata"]["uid"]);
        let mut left = roles.clone();
        left.retain(|name| *name != "view");
        assert_eq!(names(&client.get(ROLES).await), left);
        assert_eq!(code(client, service).await, 200);
    };
    check(&client).await;
    server.restart().await;
    let client = Rest::of_server(&server).await;
    check(&client).await;

    // It may be made again, and is an object like others then.
    let role: Value = json!({"metadata": {"name": "view"}, "rules": []});
    client.expect(201, Method::POST, ROLES, Some(&role)).await;
    client.expect(200, Method::DELETE, &view, None).await;
    check(&client).await;
}
