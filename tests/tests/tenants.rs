//! Tenants: what one does, another neither sees nor changes.
//!
//! Every method of the API is called as another tenant and as nobody. The methods come from the
//! published descriptors: one without a case here fails the test.

use std::collections::BTreeMap;

use bytes::Bytes;
use k8shost_tests::{
    Client, Events, KINDS, Method, NAMESPACE, NODE, POD, SERVICE, Server, merge, methods, name,
    names, namespace, node, pod, reason, refused, revision, service, text,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// What a method does for a tenant that has none of the objects it names.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Alone {
    /// It finds nothing of that name.
    NotFound,
    /// It makes an object of its own.
    Makes,
    /// It lists what its own tenant has.
    Lists,
    /// It watches its own tenant.
    Watches,
    /// It is about organizations and projects, and needs no tenant.
    NoTenant,
}

/// A request of each method that is right for the tenant which [`furnish`] has filled.
fn cases() -> BTreeMap<&'static str, (Value, Alone)> {
    use Alone::{Lists, Makes, NoTenant, NotFound, Watches};
    let labelled =
        |object: Value| merge(object, json!({"metadata": {"labels": {"intruder": "yes"}}}));
    BTreeMap::from([
        (
            "PodService/CreatePod",
            (json!({"pod": labelled(pod("theirs"))}), Makes),
        ),
        ("PodService/GetPod", (json!({"name": "theirs"}), NotFound)),
        ("PodService/ListPods", (json!({}), Lists)),
        (
            "PodService/UpdatePod",
            (json!({"pod": labelled(pod("theirs"))}), NotFound),
        ),
        (
            "PodService/UpdatePodStatus",
            (
                json!({"pod": merge(pod("theirs"), json!({"status": {"phase": "Failed"}}))}),
                NotFound,
            ),
        ),
        (
            "PodService/DeletePod",
            (json!({"name": "theirs", "gracePeriodSeconds": 0}), NotFound),
        ),
        (
            "PodService/BindPod",
            (json!({"name": "theirs", "nodeName": "theirs"}), NotFound),
        ),
        ("PodService/WatchPods", (json!({}), Watches)),
        (
            "ServiceService/CreateService",
            (json!({"service": labelled(service("theirs"))}), Makes),
        ),
        (
            "ServiceService/GetService",
            (json!({"name": "theirs"}), NotFound),
        ),
        ("ServiceService/ListServices", (json!({}), Lists)),
        (
            "ServiceService/UpdateService",
            (json!({"service": labelled(service("theirs"))}), NotFound),
        ),
        (
            "ServiceService/UpdateServiceStatus",
            (
                json!({"service": merge(service("theirs"), json!({"status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}]}}}))}),
                NotFound,
            ),
        ),
        (
            "ServiceService/DeleteService",
            (json!({"name": "theirs"}), NotFound),
        ),
        ("ServiceService/WatchServices", (json!({}), Watches)),
        (
            "NodeService/RegisterNode",
            (json!({"node": labelled(node("theirs"))}), Makes),
        ),
        (
            "NodeService/Heartbeat",
            (
                json!({"name": "theirs", "status": {"capacity": {"cpu": "99"}}}),
                NotFound,
            ),
        ),
        ("NodeService/GetNode", (json!({"name": "theirs"}), NotFound)),
        ("NodeService/ListNodes", (json!({}), Lists)),
        (
            "NodeService/UpdateNode",
            (json!({"node": labelled(node("theirs"))}), NotFound),
        ),
        (
            "NodeService/DeleteNode",
            (json!({"name": "theirs"}), NotFound),
        ),
        ("NodeService/WatchNodes", (json!({}), Watches)),
        (
            "NamespaceService/CreateNamespace",
            (json!({"namespace": labelled(namespace("theirs"))}), Makes),
        ),
        (
            "NamespaceService/GetNamespace",
            (json!({"name": "theirs"}), NotFound),
        ),
        ("NamespaceService/ListNamespaces", (json!({}), Lists)),
        (
            "NamespaceService/UpdateNamespace",
            (
                json!({"namespace": labelled(namespace("theirs"))}),
                NotFound,
            ),
        ),
        (
            "NamespaceService/UpdateNamespaceStatus",
            (
                json!({"namespace": labelled(namespace("theirs"))}),
                NotFound,
            ),
        ),
        (
            "NamespaceService/DeleteNamespace",
            (json!({"name": "theirs"}), NotFound),
        ),
        ("NamespaceService/WatchNamespaces", (json!({}), Watches)),
        (
            "OrganizationService/CreateOrganization",
            (json!({"organization": {"name": "new"}}), NoTenant),
        ),
        (
            "OrganizationService/GetOrganization",
            (json!({"name": "new"}), NoTenant),
        ),
        (
            "OrganizationService/ListOrganizations",
            (json!({}), NoTenant),
        ),
        (
            "OrganizationService/DeleteOrganization",
            (json!({"name": "new"}), NoTenant),
        ),
        (
            "ProjectService/CreateProject",
            (json!({"project": {"org": "acme", "name": "new"}}), NoTenant),
        ),
        (
            "ProjectService/GetProject",
            (json!({"org": "acme", "name": "new"}), NoTenant),
        ),
        (
            "ProjectService/ListProjects",
            (json!({"org": "acme"}), NoTenant),
        ),
        (
            "ProjectService/DeleteProject",
            (json!({"org": "acme", "name": "new"}), NoTenant),
        ),
    ])
}

/// Every method with its case.
fn all() -> Vec<(Method, Value, Alone)> {
    let mut cases = cases();
    let all = methods()
        .into_iter()
        .map(|method| {
            let name = method.name();
            let (request, alone) = cases.remove(name.as_str()).unwrap_or_else(|| {
                panic!("{name} has no test as another tenant and as nobody: add its case")
            });
            (method, request, alone)
        })
        .collect();
    assert!(
        cases.is_empty(),
        "cases of methods that are not there: {:?}",
        cases.keys()
    );
    all
}

/// One object of each kind, named `theirs`.
async fn furnish(client: &Client) {
    for kind in KINDS {
        client
            .create(kind, kind.object("theirs"))
            .await
            .expect("an object");
    }
}

/// All that a tenant has, with the revision of each.
async fn everything(client: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in KINDS {
        all.push(client.list(kind, json!({})).await.expect("a list"));
    }
    all
}

/// Calls a method; of a watch, the first message or its error.
async fn call(client: &Client, method: &Method, request: Value) -> Result<Option<Bytes>, Status> {
    let message = method.encode(request);
    if method.streams() {
        let mut events: Events = client.stream(method, message).await?;
        events.next().await.map(|_| None)
    } else {
        client
            .send(method, message)
            .await
            .map(|(answer, _)| Some(answer))
    }
}

#[tokio::test]
async fn every_method_as_another_tenant() {
    let server = Server::start().await;
    let client = server.client().await;
    let theirs = client.make_tenant("acme", "web").await;
    furnish(&theirs).await;
    let before = everything(&theirs).await;
    let mut watches = Vec::new();
    for kind in KINDS {
        let version = revision(&before[0]).to_string();
        watches.push((
            kind,
            theirs
                .watch(kind, json!({"resourceVersion": version}))
                .await
                .unwrap(),
        ));
    }
    // Another project of the same organization, and the same project name of another.
    for (org, project) in [("acme", "api"), ("other", "web")] {
        let intruder = client.make_tenant(org, project).await;
        for (method, request, alone) in all() {
            let what = format!("{} as {org}/{project}", method.name());
            match alone {
                Alone::NoTenant | Alone::Makes => {}
                Alone::NotFound => {
                    let status = refused(call(&intruder, &method, request).await, Code::NotFound);
                    assert!(
                        status.message().contains("\"theirs\" not found"),
                        "{what}: {status}"
                    );
                }
                Alone::Lists => {
                    let answer = call(&intruder, &method, request).await.unwrap().unwrap();
                    let list = method.decode(&answer);
                    let items = list["items"].as_array().cloned().unwrap_or_default();
                    assert!(
                        items.iter().all(|item| name(item) != "theirs"),
                        "{what}: {list}"
                    );
                }
                Alone::Watches => {
                    let request = json!({"resourceVersion": "0", "fieldSelector": "metadata.name=theirs", "sendInitialEvents": true, "allowBookmarks": true, "resourceVersionMatch": "NotOlderThan"});
                    let mut watch = intruder
                        .stream(&method, method.encode(request))
                        .await
                        .unwrap();
                    assert_eq!(watch.initial().await.0, Vec::<Value>::new(), "{what}");
                }
            }
        }
        // What it makes is its own, under the same names.
        for (method, request, alone) in all() {
            if alone == Alone::Makes {
                call(&intruder, &method, request).await.unwrap();
            }
        }
        for kind in KINDS {
            let own = intruder.get(kind, "", "theirs").await.unwrap();
            assert_eq!(own["metadata"]["labels"]["intruder"], "yes");
            assert_eq!(own["metadata"]["orgId"], org);
            assert_eq!(own["metadata"]["projectId"], project);
        }
    }
    assert_eq!(
        everything(&theirs).await,
        before,
        "nothing was written, not even a revision"
    );
    for (kind, mut watch) in watches {
        theirs.create(kind, kind.object("marker")).await.unwrap();
        watch.expect("ADDED", "marker").await;
    }
}

#[tokio::test]
async fn every_method_as_nobody() {
    let server = Server::start().await;
    let client = server.client().await;
    client.make_tenant("acme", "web").await;
    let long = "a".repeat(64);
    let strangers = [
        (client.of("acme", "nobody"), Code::NotFound),
        (client.of("nobody", "web"), Code::NotFound),
        (client.with("x-k8shost-org", "acme"), Code::InvalidArgument),
        (
            client.with("x-k8shost-project", "web"),
            Code::InvalidArgument,
        ),
        (client.of("", ""), Code::InvalidArgument),
        (client.of("Acme", "web"), Code::InvalidArgument),
        (client.of("acme", "we/b"), Code::InvalidArgument),
        (client.of("@system", "web"), Code::InvalidArgument),
        (client.of("acme", ".."), Code::InvalidArgument),
        (client.of(&long, "web"), Code::InvalidArgument),
        (
            client.of("acme", "web").of("acme", "web"),
            Code::InvalidArgument,
        ),
    ];
    for (stranger, code) in &strangers {
        for (method, request, alone) in all() {
            if alone != Alone::NoTenant {
                let status = refused(call(stranger, &method, request).await, *code);
                assert!(!reason(&status).is_empty(), "{}", method.name());
            }
        }
    }
    // Nothing of it reached the default tenant.
    for kind in KINDS {
        refused(client.get(kind, "", "theirs").await, Code::NotFound);
    }
}

#[tokio::test]
async fn organizations_and_projects_need_no_tenant() {
    let server = Server::start().await;
    let client = server.client().await;
    client.make_tenant("acme", "web").await;
    let stranger = client.of("acme", "nobody");
    for client in [client, stranger] {
        let mut called = 0;
        // In the order of the services: create, get, list, delete.
        for (method, request, alone) in all() {
            if alone == Alone::NoTenant {
                call(&client, &method, request)
                    .await
                    .unwrap_or_else(|s| panic!("{}: {s}", method.name()));
                called += 1;
            }
        }
        assert_eq!(called, 8);
    }
}

#[tokio::test]
async fn an_object_that_says_another_tenant_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let tenant = client.make_tenant("acme", "web").await;
    for kind in [POD, SERVICE, NODE, NAMESPACE] {
        let object = |org: &str, project: &str| {
            merge(
                kind.object("theirs"),
                json!({"metadata": {"orgId": org, "projectId": project}}),
            )
        };
        for (org, project) in [
            ("other", "web"),
            ("acme", "other"),
            ("default-org", "default-project"),
        ] {
            refused(
                tenant.create(kind, object(org, project)).await,
                Code::InvalidArgument,
            );
        }
        refused(
            client.create(kind, object("acme", "web")).await,
            Code::InvalidArgument,
        );
        let made = tenant.create(kind, object("acme", "web")).await.unwrap();
        assert_eq!(made["metadata"]["orgId"], "acme");
        // As it was read, it can be written.
        let changed = merge(made, json!({"metadata": {"labels": {"a": "b"}}}));
        let changed = tenant.update(kind, changed).await.unwrap();
        let foreign = merge(changed, json!({"metadata": {"orgId": "other"}}));
        refused(tenant.update(kind, foreign).await, Code::InvalidArgument);
    }
}

#[tokio::test]
async fn organizations_and_projects_are_objects() {
    let server = Server::start().await;
    let client = server.client().await;
    let organization = |name: &str| json!({"organization": {"name": name}});
    let project = |org: &str, name: &str| json!({"project": {"org": org, "name": name}});
    let made = client
        .call(
            "OrganizationService/CreateOrganization",
            organization("acme"),
        )
        .await
        .unwrap();
    assert_eq!(text(&made, "/organization/name"), "acme");
    assert_eq!(text(&made, "/organization/uid").len(), 36);
    refused(
        client
            .call(
                "OrganizationService/CreateOrganization",
                organization("acme"),
            )
            .await,
        Code::AlreadyExists,
    );
    refused(
        client
            .call("ProjectService/CreateProject", project("nobody", "web"))
            .await,
        Code::NotFound,
    );
    let made = client
        .call("ProjectService/CreateProject", project("acme", "web"))
        .await
        .unwrap();
    assert_eq!(text(&made, "/project/phase"), "Active");
    refused(
        client
            .call("ProjectService/CreateProject", project("acme", "web"))
            .await,
        Code::AlreadyExists,
    );
    for wrong in ["", "A", "a.b", "a/b", "@system", "-a", &"a".repeat(64)] {
        refused(
            client
                .call(
                    "OrganizationService/CreateOrganization",
                    organization(wrong),
                )
                .await,
            Code::InvalidArgument,
        );
        refused(
            client
                .call("ProjectService/CreateProject", project("acme", wrong))
                .await,
            Code::InvalidArgument,
        );
    }
    for name in ["api", "db"] {
        client
            .call("ProjectService/CreateProject", project("acme", name))
            .await
            .unwrap();
    }
    let page = client
        .call(
            "ProjectService/ListProjects",
            json!({"org": "acme", "limit": 2}),
        )
        .await
        .unwrap();
    let listed = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|p| text(p, "/name").to_owned()).collect()
    };
    assert_eq!(listed(&page), ["api", "db"]);
    let next = json!({"org": "acme", "limit": 2, "continueToken": page["metadata"]["continue"]});
    assert_eq!(
        listed(
            &client
                .call("ProjectService/ListProjects", next)
                .await
                .unwrap()
        ),
        ["web"]
    );
    let organizations = client
        .call("OrganizationService/ListOrganizations", json!({}))
        .await
        .unwrap();
    assert_eq!(listed(&organizations), ["acme", "default-org"]);

    let status = refused(
        client
            .call(
                "OrganizationService/DeleteOrganization",
                json!({"name": "acme"}),
            )
            .await,
        Code::Aborted,
    );
    assert!(
        status.message().contains("projects"),
        "{}",
        status.message()
    );
    for name in ["api", "db", "web"] {
        client
            .call(
                "ProjectService/DeleteProject",
                json!({"org": "acme", "name": name}),
            )
            .await
            .unwrap();
    }
    client
        .call(
            "OrganizationService/DeleteOrganization",
            json!({"name": "acme"}),
        )
        .await
        .unwrap();
    refused(
        client
            .call(
                "OrganizationService/GetOrganization",
                json!({"name": "acme"}),
            )
            .await,
        Code::NotFound,
    );
}

#[tokio::test]
async fn the_default_tenant_is_there_and_stays() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(POD, pod("a")).await.unwrap();
    let named = client.of("default-org", "default-project");
    assert_eq!(
        names(&named.list(POD, json!({})).await.unwrap()),
        ["a"],
        "it can be named"
    );
    let project = json!({"org": "default-org", "name": "default-project"});
    refused(
        client.call("ProjectService/DeleteProject", project).await,
        Code::PermissionDenied,
    );
    refused(
        client
            .call(
                "OrganizationService/DeleteOrganization",
                json!({"name": "default-org"}),
            )
            .await,
        Code::PermissionDenied,
    );
    client.get(POD, "", "a").await.unwrap();
}

#[tokio::test]
async fn deleting_a_project_ends_its_watches_and_takes_its_objects() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let tenant = client.make_tenant("acme", "web").await;
    furnish(&tenant).await;
    let last = revision(&tenant.list(POD, json!({})).await.unwrap());
    let mut watches = Vec::new();
    for kind in KINDS {
        let mut watch = tenant.watch(kind, json!({})).await.unwrap();
        watch.event().await;
        watches.push(watch);
    }
    let mut others = client.watch(POD, json!({})).await.unwrap();
    let project = json!({"org": "acme", "name": "web"});
    client
        .call("ProjectService/DeleteProject", project.clone())
        .await
        .unwrap();
    for mut watch in watches {
        let end = watch
            .end()
            .await
            .expect("an error, so that the watcher asks anew");
        assert!(
            matches!(end.code(), Code::OutOfRange | Code::NotFound),
            "{end}"
        );
    }
    for kind in KINDS {
        refused(tenant.get(kind, "", "theirs").await, Code::NotFound);
        refused(tenant.list(kind, json!({})).await, Code::NotFound);
        refused(
            tenant.create(kind, kind.object("new")).await,
            Code::NotFound,
        );
    }
    refused(
        client.call("ProjectService/GetProject", project).await,
        Code::NotFound,
    );
    client.create(POD, pod("alive")).await.unwrap();
    others.expect("ADDED", "alive").await;

    // Made again, it is empty, and its revisions go on; after a restart too.
    let again = client.make_tenant("acme", "web").await;
    assert_reborn(&again, last).await;
    server.restart().await;
    let again = server.client().await.of("acme", "web");
    assert_reborn(&again, last).await;
    again.create(POD, pod("new")).await.unwrap();
}

/// A tenant that was made again has nothing of its former life, which ended behind revision `last`.
async fn assert_reborn(tenant: &Client, last: u64) {
    for kind in KINDS {
        refused(tenant.get(kind, "", "theirs").await, Code::NotFound);
    }
    let born = tenant.list(NAMESPACE, json!({})).await.expect("a list");
    assert_eq!(
        names(&born),
        ["default", "kube-node-lease", "kube-public", "kube-system"]
    );
    assert!(revision(&born) > last, "revisions never start over");
    let version = json!({"resourceVersion": last.to_string()});
    let mut watch = tenant.watch(POD, version).await.expect("a watch");
    let end = watch.next().await.expect_err("the first life is over");
    assert_eq!(end.code(), Code::OutOfRange, "{end}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tenants_live_side_by_side() {
    use futures::{StreamExt as _, TryStreamExt as _, stream};
    const TENANTS: usize = 1_000;
    let mut server = Server::start().await;
    let client = server.client().await;
    client
        .call(
            "OrganizationService/CreateOrganization",
            json!({"organization": {"name": "acme"}}),
        )
        .await
        .unwrap();
    let make = |client: Client, n: usize| async move {
        let project = json!({"project": {"org": "acme", "name": format!("p{n}")}});
        client.call("ProjectService/CreateProject", project).await?;
        client
            .of("acme", &format!("p{n}"))
            .create(POD, pod(&format!("pod-{n}")))
            .await
    };
    let made: Vec<Value> = stream::iter(0..TENANTS)
        .map(|n| make(client.clone(), n))
        .buffer_unordered(32)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(made.len(), TENANTS);
    server.restart().await;
    let client = server.client().await;
    for n in (0..TENANTS).step_by(97) {
        let list = client
            .of("acme", &format!("p{n}"))
            .list(POD, json!({}))
            .await
            .unwrap();
        assert_eq!(names(&list), [format!("pod-{n}")]);
    }
}
