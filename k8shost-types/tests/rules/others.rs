//! Requests for certificates, webhooks and policies, flows, and devices.

use k8shost_types::certificates;
use serde_json::{Value, json};

use crate::{
    common::{create, made, named, refused, row, stored, update, update_status},
    samples::SIGNING_REQUEST,
};

const ADMISSION: &str = "admissionregistration.k8s.io/v1";
const FLOW: &str = "flowcontrol.apiserver.k8s.io/v1";
const DEVICES: &str = "resource.k8s.io/v1";

#[test]
fn what_a_create_answers() {
    let rule = json!({"apiGroups": ["x.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["xs"]});
    let ruled = json!({"apiGroups": ["x.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["xs"], "scope": "*"});
    let cases = [
        (
            (ADMISSION, "validatingwebhookconfigurations"),
            json!({"webhooks": [{"name": "a.b.c", "clientConfig": {"url": "https://127.0.0.1:1/x"}, "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [rule]}]}),
            json!({"metadata": {"generation": 1}, "webhooks": [{"admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/x"}, "failurePolicy": "Fail", "matchPolicy": "Equivalent", "name": "a.b.c", "namespaceSelector": {}, "objectSelector": {}, "rules": [ruled], "sideEffects": "None", "timeoutSeconds": 10}]}),
        ),
        (
            (ADMISSION, "mutatingwebhookconfigurations"),
            json!({"webhooks": []}),
            json!({"metadata": {"generation": 1}}),
        ),
        (
            (ADMISSION, "validatingadmissionpolicies"),
            json!({"spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "object.spec.n < 5"}]}}),
            json!({"metadata": {"generation": 1}, "spec": {"failurePolicy": "Fail", "matchConstraints": {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [ruled]}, "validations": [{"expression": "object.spec.n < 5"}]}, "status": {}}),
        ),
        (
            (FLOW, "prioritylevelconfigurations"),
            json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}}),
            json!({"metadata": {"generation": 1}, "spec": {"limited": {"lendablePercent": 0, "limitResponse": {"type": "Reject"}, "nominalConcurrencyShares": 30}, "type": "Limited"}, "status": {}}),
        ),
        (
            (DEVICES, "resourceclaims"),
            json!({"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}}),
            json!({"metadata": {}, "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}}]}}, "status": {}}),
        ),
    ];
    for ((version, resource), sent, answer) in cases {
        assert_eq!(made(row(version, resource), sent), answer, "{resource}");
    }
}

#[test]
fn faults_are_told() {
    let cases = [
        (
            (ADMISSION, "validatingwebhookconfigurations"),
            json!({"webhooks": [{"name": "a", "clientConfig": {"url": "http://x#y"}, "admissionReviewVersions": ["v3"], "timeoutSeconds": 31, "rules": [{"operations": ["*", "X"], "apiGroups": ["a"], "apiVersions": ["v"]}]}]}),
            r#"[webhooks[0].name: Invalid value: "a": should be a domain with at least three segments separated by dots, webhooks[0].admissionReviewVersions: Invalid value: ["v3"]: must include at least one of v1, v1beta1, webhooks[0].rules[0].operations: Invalid value: ["*","X"]: if '*' is present, must not specify other operations, webhooks[0].rules[0].operations[1]: Unsupported value: "X": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE", webhooks[0].rules[0].resources: Required value, webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun, webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds, webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[:port]/path, webhooks[0].clientConfig.url: Invalid value: "http://x#y": fragments are not permitted in the URL; desired format: https://host[:port]/path]"#,
        ),
        (
            (ADMISSION, "validatingadmissionpolicies"),
            json!({}),
            "[spec.matchConstraints: Required value, spec.validations: Required value: validations or auditAnnotations must be specified]",
        ),
        (
            (FLOW, "prioritylevelconfigurations"),
            json!({"spec": {"type": "Limited", "exempt": {}}}),
            "[spec.exempt: Forbidden: must be nil if the type is Limited, spec.limited: Required value: must not be empty when type is Limited]",
        ),
        (
            (FLOW, "flowschemas"),
            json!({"spec": {"matchingPrecedence": 10001}}),
            "[spec.matchingPrecedence: Invalid value: 10001: must be a value between 1 and 10000, spec.priorityLevelConfiguration.name: Required value: must reference a priority level]",
        ),
        (
            (DEVICES, "resourceclaims"),
            json!({"spec": {"devices": {"requests": [{"name": "r"}], "constraints": [{"requests": ["q"], "matchAttribute": "a/b"}]}}}),
            r#"[spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required, spec.devices.constraints[0].requests[0]: Invalid value: "q": must be the name of a request in the claim or the name of a request and a subrequest separated by '/']"#,
        ),
        (
            ("certificates.k8s.io/v1", "certificatesigningrequests"),
            json!({"spec": {"request": "YQ==", "signerName": "a", "usages": ["any", "any", "x"]}}),
            "",
        ),
    ];
    for ((version, resource), sent, message) in cases {
        let row = row(version, resource);
        let answer = refused(row, sent);
        if message.is_empty() {
            for part in [
                r#"spec.request: Invalid value: "YQ==": PEM block type must be CERTIFICATE REQUEST"#,
                r#"spec.usages[1]: Duplicate value: "any""#,
                r#"spec.usages[2]: Unsupported value: "x""#,
                "spec.signerName: Invalid value: \"a\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
            ] {
                assert!(answer.contains(part), "{part}: {answer}");
            }
        } else {
            assert_eq!(
                answer,
                format!("{}.{} \"x\" is invalid: {message}", row.kind, row.group())
            );
        }
    }
}

#[test]
fn a_decision_is_made_at_the_approval_alone() {
    let row = row("certificates.k8s.io/v1", "certificatesigningrequests");
    let old = stored(
        row,
        named(
            row,
            json!({"spec": {"request": SIGNING_REQUEST, "signerName": "a.b/c", "usages": ["client auth"]}}),
        ),
    );
    let approved = json!([{"type": "Approved", "status": "True"}]);
    let new = update_status(row, &old, |request| {
        request["status"]["conditions"] = approved.clone()
    });
    assert_eq!(new.expect("valid")["status"], json!({}));
    let mut new = old.clone();
    new["status"] = json!({"conditions": approved, "certificate": "YQ=="});
    new["spec"]["usages"] = json!([]);
    certificates::prepare_approval_update(&mut new, &old);
    assert!(certificates::validate_status_update(&new, &old).is_empty());
    assert_eq!(new["status"], json!({"conditions": approved}));
    assert_eq!(new["spec"], old["spec"]);
    // What is decided stays decided.
    let next = update_status(row, &new, |request| request["status"] = json!({}));
    assert_eq!(next.expect("valid")["status"]["conditions"], approved);
    let mut both = new.clone();
    both["status"]["conditions"] =
        json!([{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "False"}]);
    let faults: Vec<String> = certificates::validate_status_update(&both, &new)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        faults,
        [
            r#"status.conditions[1].status: Unsupported value: "False": supported values: "True""#,
            "status.conditions: Invalid value: Approved and Denied conditions are mutually exclusive",
        ]
    );
    let kept = update(row, &new, |request| request["spec"] = Value::Null)
        .expect("only metadata is written");
    assert_eq!(kept["spec"], old["spec"]);
    let mut missing = named(row, json!({}));
    missing["metadata"]["name"] = json!("a/b");
    assert!(create(row, missing).is_err());
}

#[test]
fn claims_to_devices_do_not_change() {
    let row = row(DEVICES, "resourceclaims");
    let old = stored(
        row,
        named(
            row,
            json!({"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}}),
        ),
    );
    let error = update(row, &old, |claim| {
        claim["spec"]["devices"]["requests"][0]["name"] = json!("s")
    })
    .expect_err("a change");
    assert!(
        error.message.ends_with("field is immutable"),
        "{}",
        error.message
    );
    let error =
        update_status(
            row,
            &old,
            |claim| {
                claim["status"] =
                    json!({"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]})
            },
        )
        .expect_err("not allocated");
    assert!(
        error.message.ends_with(
            "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"
        ),
        "{}",
        error.message
    );
}
