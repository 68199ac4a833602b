//! Deployments, ReplicaSets, StatefulSets, DaemonSets, their revisions, Jobs and CronJobs.

use serde_json::{Value, json};

use crate::{
    common::{UID, made, named, refused, row, stored, update, update_refused, update_status},
    core::defaulted_pod,
    samples::{job_template, template},
};

fn spec() -> Value {
    json!({"selector": {"matchLabels": {"a": "b"}}, "template": template()})
}

/// The same, with more fields.
fn spec_with(more: Value) -> Value {
    let mut spec = spec();
    crate::common::merge(&mut spec, more);
    json!({"spec": spec})
}

fn defaulted_template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": defaulted_pod()})
}

fn defaulted_job_template() -> Value {
    let mut pod = defaulted_pod();
    pod["restartPolicy"] = json!("Never");
    json!({"metadata": {}, "spec": pod})
}

#[test]
fn what_a_create_answers() {
    let selector = json!({"matchLabels": {"a": "b"}});
    let template = defaulted_template();
    let labels = json!({"batch.kubernetes.io/controller-uid": UID, "batch.kubernetes.io/job-name": "x", "controller-uid": UID, "job-name": "x"});
    let mut job_pods = defaulted_job_template();
    job_pods["metadata"]["labels"] = labels.clone();
    let cases = [
        (
            ("apps/v1", "deployments"),
            json!({"spec": spec(), "status": {"replicas": 3}}),
            json!({"metadata": {"generation": 1}, "spec": {"progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10, "selector": selector, "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"}, "template": template}, "status": {}}),
        ),
        (
            ("apps/v1", "replicasets"),
            json!({"spec": spec()}),
            json!({"metadata": {"generation": 1}, "spec": {"replicas": 1, "selector": selector, "template": template}, "status": {"replicas": 0}}),
        ),
        (
            ("apps/v1", "statefulsets"),
            spec_with(
                json!({"serviceName": "s", "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}),
            ),
            json!({"metadata": {"generation": 1}, "spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}, "podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10, "selector": selector, "serviceName": "s", "template": template, "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"}, "volumeClaimTemplates": [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}]}, "status": {"availableReplicas": 0, "replicas": 0}}),
        ),
        (
            ("apps/v1", "daemonsets"),
            json!({"spec": spec()}),
            json!({"metadata": {"annotations": {"deprecated.daemonset.template.generation": "1"}, "generation": 1}, "spec": {"revisionHistoryLimit": 10, "selector": selector, "template": template, "updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}, "type": "RollingUpdate"}}, "status": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}}),
        ),
        (
            ("apps/v1", "controllerrevisions"),
            json!({"revision": 1, "data": {"a": 1}}),
            json!({"metadata": {}, "data": {"a": 1}, "revision": 1}),
        ),
        (
            ("batch/v1", "jobs"),
            json!({"spec": {"template": job_template()}}),
            json!({"metadata": {"generation": 1, "labels": labels}, "spec": {"backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "manualSelector": false, "parallelism": 1, "podReplacementPolicy": "TerminatingOrFailed", "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}, "suspend": false, "template": job_pods}, "status": {}}),
        ),
        (
            ("batch/v1", "cronjobs"),
            json!({"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": job_template()}}}}),
            json!({"metadata": {"generation": 1}, "spec": {"concurrencyPolicy": "Allow", "failedJobsHistoryLimit": 1, "jobTemplate": {"metadata": {}, "spec": {"template": defaulted_job_template()}}, "schedule": "*/5 * * * *", "successfulJobsHistoryLimit": 3, "suspend": false}, "status": {}}),
        ),
    ];
    for ((version, resource), sent, answer) in cases {
        assert_eq!(made(row(version, resource), sent), answer, "{resource}");
    }
}

#[test]
fn deployments() {
    let row = row("apps/v1", "deployments");
    assert_eq!(row.group(), "apps");
    assert_eq!(row.version(), "v1");
    let prefix = "Deployment.apps \"x\" is invalid: ";
    let cases = [
        (
            spec_with(json!({"selector": {"matchLabels": {"a": "z"}}})),
            r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#,
        ),
        (
            json!({"spec": {"replicas": -1, "template": {}}}),
            "[spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`, spec.template.spec.containers: Required value]",
        ),
        (
            spec_with(json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}})),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            spec_with(json!({"strategy": {"type": "Slow"}})),
            r#"spec.strategy.type: Unsupported value: "Slow": supported values: "Recreate", "RollingUpdate""#,
        ),
        (
            spec_with(
                json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}),
            ),
            r#"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0"#,
        ),
        (
            spec_with(json!({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}})),
            r#"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%"#,
        ),
        (
            spec_with(json!({"selector": {}})),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            spec_with(json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5})),
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
    ];
    for (sent, message) in cases {
        assert_eq!(refused(row, sent), format!("{prefix}{message}"));
    }
    let mut sent = spec_with(json!({}));
    sent["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    sent["spec"]["template"]["spec"]["activeDeadlineSeconds"] = json!(5);
    assert_eq!(
        refused(row, sent),
        format!(
            "{prefix}[spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\", spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported]"
        )
    );
    let rolling =
        spec_with(json!({"strategy": {"rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 0}}}));
    assert_eq!(
        made(row, rolling)["spec"]["strategy"]["rollingUpdate"],
        json!({"maxSurge": "30%", "maxUnavailable": 0})
    );
}

#[test]
fn updates_of_deployments() {
    let row = row("apps/v1", "deployments");
    let old = stored(row, named(row, spec_with(json!({}))));
    assert_eq!(
        update_refused(
            row,
            &old,
            |object| object["spec"]["selector"]["matchLabels"]["a"] = json!("c")
        ),
        r#"Deployment.apps "x" is invalid: [spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`, spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable]"#
    );
    let generation = |change: &dyn Fn(&mut Value)| {
        let new = update(row, &old, |object| change(object)).expect("valid");
        new["metadata"]["generation"].as_i64()
    };
    assert_eq!(
        generation(&|object| object["spec"]["replicas"] = json!(3)),
        Some(2)
    );
    assert_eq!(
        generation(&|object| object["metadata"]["labels"] = json!({"x": "y"})),
        Some(1)
    );
    assert_eq!(
        generation(&|object| object["metadata"]["annotations"] = json!({"x": "y"})),
        Some(2)
    );
    assert_eq!(
        generation(&|object| object["status"]["replicas"] = json!(3)),
        Some(1)
    );
    let new = update_status(row, &old, |object| {
        object["status"] = json!({"observedGeneration": 2, "collisionCount": 3});
        object["spec"] = json!({});
        object["metadata"]["labels"] = json!({"x": "y"});
    });
    let new = new.expect("a status");
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["metadata"], old["metadata"]);
    let error = update_status(row, &new, |object| {
        object["status"] = json!({"availableReplicas": 1})
    })
    .expect_err("too few");
    assert_eq!(
        error.message,
        r#"Deployment.apps "x" is invalid: [status.availableReplicas: Invalid value: 1: cannot be greater than status.replicas, status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas, status.collisionCount: Invalid value: 0: cannot be decremented]"#
    );
}

#[test]
fn stateful_sets() {
    let row = row("apps/v1", "statefulsets");
    let mut object = named(row, spec_with(json!({})));
    object["metadata"]["name"] = json!("a.b");
    let error = crate::common::create(row, object).expect_err("a name with a dot");
    assert!(
        error
            .message
            .contains("metadata.name: Invalid value: \"a.b\": must not contain dots"),
        "{}",
        error.message
    );
    assert_eq!(
        refused(
            row,
            spec_with(
                json!({"podManagementPolicy": "x", "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}, "ordinals": {"start": -1}})
            )
        ),
        r#"StatefulSet.apps "x" is invalid: [spec.podManagementPolicy: Invalid value: "x": must be 'OrderedReady' or 'Parallel', spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate', spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0]"#
    );
    let old = stored(row, named(row, spec_with(json!({"serviceName": "s"}))));
    assert_eq!(
        update_refused(row, &old, |object| object["spec"]["serviceName"] =
            json!("t")),
        "StatefulSet.apps \"x\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    );
    let new = update(row, &old, |object| object["spec"]["replicas"] = json!(3)).expect("valid");
    assert_eq!(new["metadata"]["generation"], 2);
}

#[test]
fn daemon_sets() {
    let row = row("apps/v1", "daemonsets");
    let cases = [
        (
            json!({"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}),
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            json!({"rollingUpdate": {"maxUnavailable": 0}}),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
        ),
        (
            json!({"type": "x"}),
            r#"spec.updateStrategy.type: Unsupported value: "x": supported values: "RollingUpdate", "OnDelete""#,
        ),
    ];
    for (strategy, message) in cases {
        assert_eq!(
            refused(row, spec_with(json!({"updateStrategy": strategy}))),
            format!("DaemonSet.apps \"x\" is invalid: {message}")
        );
    }
    let old = stored(row, named(row, spec_with(json!({}))));
    let new = update(row, &old, |object| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j")
    })
    .expect("valid");
    assert_eq!(
        new["metadata"]["annotations"]["deprecated.daemonset.template.generation"],
        "2"
    );
    assert_eq!(new["metadata"]["generation"], 2);
    let new = update(row, &old, |object| {
        object["spec"]["minReadySeconds"] = json!(3)
    })
    .expect("valid");
    assert_eq!(
        new["metadata"]["annotations"]["deprecated.daemonset.template.generation"],
        "1"
    );
    assert_eq!(new["metadata"]["generation"], 2);
}

#[test]
fn revisions_do_not_change() {
    let row = row("apps/v1", "controllerrevisions");
    assert_eq!(
        refused(row, json!({"revision": -1})),
        r#"ControllerRevision.apps "x" is invalid: [data: Required value: data is mandatory, revision: Invalid value: -1: must be greater than or equal to 0]"#
    );
    let old = stored(row, named(row, json!({"revision": 1, "data": {"a": 1}})));
    assert_eq!(
        update_refused(row, &old, |object| object["data"] = json!({"a": 2})),
        r#"ControllerRevision.apps "x" is invalid: data: Invalid value: {"a":2}: field is immutable"#
    );
    update(row, &old, |object| object["revision"] = json!(2)).expect("the number may change");
}

fn job(more: Value) -> Value {
    let mut spec = json!({"template": job_template()});
    crate::common::merge(&mut spec, more);
    json!({"spec": spec})
}

#[test]
fn jobs() {
    let row = row("batch/v1", "jobs");
    let codes = |codes: Value| json!({"podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": codes}]}});
    let cases = [
        (
            json!({"template": template()}),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            json!({"parallelism": -1}),
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"completionMode": "Indexed", "parallelism": 1}),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            json!({"backoffLimitPerIndex": 1}),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            json!({"manualSelector": true}),
            "spec.selector: Required value",
        ),
        (json!({"selector": {"matchLabels": {"z": "z"}}}), ""),
        (
            json!({"managedBy": "me"}),
            r#"spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")"#,
        ),
        (
            codes(json!({"operator": "In", "values": [0, 3, 2, 3]})),
            "[spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator, spec.podFailurePolicy.rules[0].onExitCodes.values[3]: Duplicate value: 3, spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,3,2,3]: must be ordered]",
        ),
        (
            json!({"podFailurePolicy": {"rules": [{"action": "FailIndex"}]}}),
            r#"[spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set, spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required]"#,
        ),
        (
            json!({"completionMode": "Indexed", "completions": 3, "successPolicy": {"rules": [{"succeededIndexes": "0,2-1"}, {"succeededIndexes": "5"}, {}]}}),
            r#"[spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0,2-1": error parsing succeededIndexes: non-increasing order, previous: 2, current: 1, spec.successPolicy.rules[1].succeededIndexes: Invalid value: "5": error parsing succeededIndexes: too large index: "5", spec.successPolicy.rules[2]: Required value: at least one of succeededCount or succeededIndexes must be specified]"#,
        ),
    ];
    for (spec, message) in cases {
        let answer = refused(row, job(spec));
        if message.is_empty() {
            assert!(answer.contains("`selector` not auto-generated"), "{answer}");
        } else {
            assert_eq!(answer, format!("Job.batch \"x\" is invalid: {message}"));
        }
    }
    let mut object = named(row, job(json!({})));
    object["metadata"]["name"] = json!("Bad_");
    let error = crate::common::create(row, object).expect_err("a bad name");
    assert!(
        error
            .message
            .contains(", spec.template.labels: Invalid value: \"Bad_\": a valid label must be"),
        "{}",
        error.message
    );
}

#[test]
fn updates_of_jobs() {
    let row = row("batch/v1", "jobs");
    let old = stored(
        row,
        named(
            row,
            job(
                json!({"completions": 3, "parallelism": 2, "completionMode": "Indexed", "suspend": true}),
            ),
        ),
    );
    assert_eq!(
        update_refused(row, &old, |job| job["spec"]["completions"] = json!(4)),
        "Job.batch \"x\" is invalid: spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"
    );
    let new = update(row, &old, |job| {
        job["spec"]["completions"] = json!(4);
        job["spec"]["parallelism"] = json!(4);
        // Where its pods go may be said until it starts.
        job["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    });
    let new = new.expect("valid");
    assert_eq!(new["metadata"]["generation"], 2);
    let message = update_refused(row, &old, |job| {
        job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j")
    });
    assert!(
        message.contains("spec.template: Invalid value: ")
            && message.ends_with(": field is immutable"),
        "{message}"
    );
    let running = update(row, &old, |job| job["spec"]["suspend"] = json!(false)).expect("valid");
    let message = update_refused(row, &running, |job| {
        job["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"})
    });
    assert!(
        message.contains("spec.template: Invalid value"),
        "{message}"
    );
    let new =
        update_status(row, &old, |job| job["status"] = json!({"succeeded": 2})).expect("valid");
    assert_eq!((row.fields)(&new), [("status.successful", "2".into())]);
}

#[test]
fn what_a_row_says_of_its_kind() {
    let facts = |version, resource| {
        let row = row(version, resource);
        (
            row.has_status,
            row.create_on_update,
            row.unconditional_update,
        )
    };
    assert_eq!(facts("apps/v1", "deployments"), (true, false, true));
    assert_eq!(facts("v1", "services"), (true, true, true));
    assert_eq!(facts("v1", "configmaps"), (false, false, true));
    assert_eq!(
        facts("coordination.k8s.io/v1", "leases"),
        (false, true, false)
    );
    assert_eq!(
        facts("policy/v1", "poddisruptionbudgets"),
        (true, false, false)
    );
    for row in k8shost_types::strategies::all() {
        let found = k8shost_types::strategies::find(&row.api_version, &row.resource);
        assert!(
            found.is_some_and(|found| std::ptr::eq(found, row)),
            "{} is there twice",
            row.kind
        );
        assert_eq!(
            row.namespaced,
            row.selectable.contains(&"metadata.namespace"),
            "{}",
            row.kind
        );
    }
}

#[test]
fn cron_jobs() {
    let row = row("batch/v1", "cronjobs");
    let cron = |spec: Value| {
        let mut object = json!({"spec": {"schedule": "* * * * *", "jobTemplate": job(json!({}))}});
        crate::common::merge(&mut object["spec"], spec);
        object
    };
    let cases = [
        (
            json!({"schedule": "every day"}),
            r#"spec.schedule: Invalid value: "every day": expected exactly 5 fields, found 2: [every day]"#,
        ),
        (
            json!({"schedule": "TZ=UTC 0 0 * * *"}),
            r#"spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead"#,
        ),
        (json!({"schedule": ""}), "spec.schedule: Required value"),
        (
            json!({"timeZone": "Mars"}),
            r#"spec.timeZone: Invalid value: "Mars": unknown time zone Mars"#,
        ),
        (
            json!({"timeZone": "local"}),
            r#"spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"#,
        ),
        (
            json!({"concurrencyPolicy": "x", "startingDeadlineSeconds": -1}),
            r#"[spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0, spec.concurrencyPolicy: Unsupported value: "x": supported values: "Allow", "Forbid", "Replace"]"#,
        ),
        (
            json!({"jobTemplate": job(json!({"selector": {}, "manualSelector": true}))}),
            r#"[spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated, spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"]"#,
        ),
    ];
    for (spec, message) in cases {
        assert_eq!(
            refused(row, cron(spec)),
            format!("CronJob.batch \"x\" is invalid: {message}")
        );
    }
    let mut object = named(row, cron(json!({})));
    object["metadata"]["name"] = json!("a".repeat(53));
    let error = crate::common::create(row, object).expect_err("a long name");
    assert!(
        error
            .message
            .ends_with("must be no more than 52 characters"),
        "{}",
        error.message
    );
}
