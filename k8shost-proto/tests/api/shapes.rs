//! Requests and responses have the same shapes for all kinds, number by number: generic clients, and
//! the server itself, rely on it.

use prost_reflect::{Kind, MessageDescriptor};

use crate::schema::{message, pool};

/// The kinds with the names of their services' lists and of their objects' fields, and whether they
/// live in namespaces.
const KINDS: [(&str, &str, &str, bool); 4] = [
    ("Pod", "Pods", "pod", true),
    ("Service", "Services", "service", true),
    ("Node", "Nodes", "node", false),
    ("Namespace", "Namespaces", "namespace", false),
];

/// A message, one field after another: `number label type name`.
fn shape(message: &MessageDescriptor) -> Vec<String> {
    let field = |field: prost_reflect::FieldDescriptor| {
        let kind = match field.kind() {
            Kind::Message(message) => message.name().to_owned(),
            Kind::Enum(of) => of.name().to_owned(),
            kind => format!("{kind:?}").to_lowercase(),
        };
        let label = match field {
            _ if field.is_list() => "repeated ",
            _ if field.field_descriptor_proto().proto3_optional() => "optional ",
            _ => "",
        };
        format!("{} {label}{kind} {}", field.number(), field.name())
    };
    message.fields().map(field).collect()
}

/// Asserts the shape of a message, where `%` stands for the kind, `%s` for its plural, and `field` for its field; a field
/// `namespace` with the number 1 is reserved for kinds that have no namespace.
fn assert_shape(name: &str, kind: (&str, &str, &str, bool), fields: &[&str]) {
    const NAMESPACE: &str = "1 string namespace";
    let name = name.replace("%s", kind.1).replace('%', kind.0);
    let message = message(&pool(), &name);
    let wanted: Vec<String> = fields
        .iter()
        .filter(|field| kind.3 || **field != NAMESPACE)
        .map(|field| field.replace('%', kind.0))
        .map(|field| match field.strip_suffix(" field") {
            Some(field) => format!("{field} {}", kind.2),
            None => field,
        })
        .collect();
    assert_eq!(shape(&message), wanted, "fields of {name}");
    if fields.contains(&NAMESPACE) && !kind.3 {
        let reserved: Vec<u32> = message.reserved_ranges().flatten().collect();
        assert_eq!(reserved, [1], "reserved numbers of {name}");
    }
}

#[test]
fn all_kinds_have_the_same_requests() {
    let key = ["1 string namespace", "2 string name"];
    let object = ["1 % field"];
    for kind in KINDS {
        let create = if kind.0 == "Node" {
            "Register%"
        } else {
            "Create%"
        };
        assert_shape(&format!("{create}Request"), kind, &object);
        assert_shape(&format!("{create}Response"), kind, &object);
        assert_shape("Get%Request", kind, &key);
        assert_shape("Get%Response", kind, &object);
        assert_shape(
            "List%sRequest",
            kind,
            &[
                "1 string namespace",
                "2 string label_selector",
                "3 string field_selector",
                "4 int64 limit",
                "5 string continue_token",
                "6 string resource_version",
                "7 string resource_version_match",
            ],
        );
        assert_shape(
            "List%sResponse",
            kind,
            &["1 ListMeta metadata", "2 repeated % items"],
        );
        assert_shape("Update%Request", kind, &object);
        assert_shape("Update%Response", kind, &object);
        if kind.0 != "Node" {
            assert_shape("Update%StatusRequest", kind, &object);
            assert_shape("Update%StatusResponse", kind, &object);
        }
        assert_shape(
            "Delete%Request",
            kind,
            &[
                key[0],
                key[1],
                "3 optional int64 grace_period_seconds",
                "4 Preconditions preconditions",
            ],
        );
        assert_shape("Delete%Response", kind, &object);
        assert_shape(
            "Watch%sRequest",
            kind,
            &[
                "1 string namespace",
                "2 string label_selector",
                "3 string field_selector",
                "4 string resource_version",
                "5 bool send_initial_events",
                "6 bool allow_bookmarks",
                "7 string resource_version_match",
            ],
        );
        assert_shape("Watch%sResponse", kind, &["1 EventType type", "2 % field"]);
    }
}

#[test]
fn kinds_have_the_same_first_fields() {
    for kind in KINDS {
        assert_shape(
            "%",
            kind,
            &[
                "1 optional string api_version",
                "2 optional string kind",
                "3 ObjectMeta metadata",
                "4 %Spec spec",
                "5 %Status status",
            ],
        );
    }
}

#[test]
fn the_other_messages_are_as_published() {
    let pool = pool();
    let tenant = |name| {
        let number = if name == "Project" { 2 } else { 1 };
        (name, number)
    };
    let expected: &[(&str, &[&str])] = &[
        (
            "BindPodRequest",
            &[
                "1 string namespace",
                "2 string name",
                "3 string node_name",
                "4 string uid",
            ],
        ),
        ("BindPodResponse", &["1 Pod pod"]),
        (
            "HeartbeatRequest",
            &["2 string name", "3 NodeStatus status"],
        ),
        ("HeartbeatResponse", &["1 Node node"]),
        (
            "Preconditions",
            &[
                "1 optional string uid",
                "2 optional string resource_version",
            ],
        ),
        (
            "Organization",
            &[
                "1 string name",
                "2 string uid",
                "3 Timestamp creation_timestamp",
                "4 string resource_version",
            ],
        ),
        (
            "Project",
            &[
                "1 string org",
                "2 string name",
                "3 string uid",
                "4 Timestamp creation_timestamp",
                "5 string resource_version",
                "6 string phase",
            ],
        ),
        (
            "ListOrganizationsRequest",
            &["1 int64 limit", "2 string continue_token"],
        ),
        (
            "ListProjectsRequest",
            &["1 string org", "2 int64 limit", "3 string continue_token"],
        ),
        (
            "ListOrganizationsResponse",
            &["1 ListMeta metadata", "2 repeated Organization items"],
        ),
        (
            "ListProjectsResponse",
            &["1 ListMeta metadata", "2 repeated Project items"],
        ),
    ];
    for (name, fields) in expected {
        assert_eq!(shape(&message(&pool, name)), *fields, "fields of {name}");
    }
    for (name, number) in ["Organization", "Project"].map(tenant) {
        let object = [format!("1 {name} {}", name.to_lowercase())];
        let mut key = vec!["1 string org".to_owned(); number - 1];
        key.push(format!("{number} string name"));
        assert_eq!(
            shape(&message(&pool, &format!("Create{name}Request"))),
            object
        );
        assert_eq!(
            shape(&message(&pool, &format!("Create{name}Response"))),
            object
        );
        assert_eq!(shape(&message(&pool, &format!("Get{name}Request"))), key);
        assert_eq!(
            shape(&message(&pool, &format!("Get{name}Response"))),
            object
        );
        assert_eq!(shape(&message(&pool, &format!("Delete{name}Request"))), key);
        assert_eq!(
            shape(&message(&pool, &format!("Delete{name}Response"))),
            object
        );
    }
}

#[test]
fn event_types_have_their_numbers() {
    let events = pool().get_enum_by_name("k8shost.v1.EventType").unwrap();
    let values: Vec<(i32, String)> = events
        .values()
        .map(|value| (value.number(), value.name().to_owned()))
        .collect();
    let wanted = ["UNSPECIFIED", "ADDED", "MODIFIED", "DELETED", "BOOKMARK"];
    let wanted = wanted.map(|name| format!("EVENT_TYPE_{name}"));
    assert!(values.into_iter().eq((0..).zip(wanted)));
}

#[test]
fn services_have_their_methods() {
    let wanted = |service: &str| -> Vec<String> {
        let kind = service.strip_suffix("Service").unwrap();
        let methods = match kind {
            "Pod" => "Create% Get% List%s Update% Update%Status Delete% Bind% Watch%s",
            "Node" => "Register% Heartbeat Get% List%s Update% Delete% Watch%s",
            "Organization" | "Project" => "Create% Get% List%s Delete%",
            _ => "Create% Get% List%s Update% Update%Status Delete% Watch%s",
        };
        methods
            .split(' ')
            .map(|name| name.replace('%', kind))
            .collect()
    };
    let pool = pool();
    assert_eq!(pool.services().len(), 6);
    for service in pool.services() {
        let methods: Vec<String> = service
            .methods()
            .map(|method| method.name().to_owned())
            .collect();
        assert_eq!(
            methods,
            wanted(service.name()),
            "methods of {}",
            service.name()
        );
        for method in service.methods() {
            assert!(!method.is_client_streaming());
            assert_eq!(
                method.is_server_streaming(),
                method.name().starts_with("Watch")
            );
        }
    }
}
