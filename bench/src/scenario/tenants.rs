//! Many tenants with one pod each: how fast they are made, and what is left of them in memory.

use anyhow::Context as _;
use http::HeaderValue;
use k8shost_proto::v1;

use super::run_of;
use crate::{
    client::Pool,
    host::Bench,
    load::{self, Until},
    procfs::{Meter, peak_mb, rss_mb},
    report::{Section, Unit},
    template::{INDEX, Pods, Template, call, name},
};

const ORG: &str = "bench";

/// So that tenants are past these within the scenario.
const SETTINGS: [&str; 4] = ["--retention", "5s", "--idle-after", "5s"];

pub(super) async fn run(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let sizes = &bench.sizes;
    let settings = if bench.args.quick {
        ["--retention", "1s", "--idle-after", "1s"]
    } else {
        SETTINGS
    };
    section.about = format!(
        "{} projects with one pod each, {} callers on {} connections; server with {}; memory {:?} after the last call",
        sizes.tenants,
        bench.callers,
        bench.connections,
        settings.join(" "),
        sizes.tenants_idle
    );
    let started = bench.start(&settings).await?;
    let pid = started
        .process
        .pid()
        .context("the server has no process id")?;
    let pool = Pool::open(&started.process.url, bench.connections).await?;
    let organization = v1::Organization {
        name: ORG.to_owned(),
        ..Default::default()
    };
    let create = v1::CreateOrganizationRequest {
        organization: Some(organization),
    };
    let create = call(
        "/k8shost.v1.OrganizationService/CreateOrganization",
        &create,
    );
    pool.connection(0).call(create).await?;
    let rss = || rss_mb(pid).context("the server's memory cannot be read");
    tokio::time::sleep(sizes.settle).await;
    let idle = rss()?;

    let project = v1::Project {
        org: ORG.to_owned(),
        name: format!("p-{INDEX}"),
        ..Default::default()
    };
    let project = v1::CreateProjectRequest {
        project: Some(project),
    };
    let project = Template::new("/k8shost.v1.ProjectService/CreateProject", &project);
    let pods = Pods::new("default")?;
    let calls = move |index| {
        let mut pod = pods.create.call(index, 0);
        let name = HeaderValue::from_str(&name("p-", index)).expect("names are ASCII");
        pod.tenant = Some([HeaderValue::from_static(ORG), name]);
        [project.call(index, 0), pod]
    };
    let meter = Meter::new(Some(pid));
    let load = load::closed(&pool, bench.callers, 0, Until::Count(sizes.tenants), calls).await?;
    section
        .runs
        .push(run_of("a project and its first pod", &load, meter.usage()));
    section
        .figure("tenants created", load.rate(), Unit::PerSecond)
        .at_least(1000.0);

    tokio::time::sleep(sizes.tenants_idle).await;
    section.figure("memory, before them", idle, Unit::Mb);
    section
        .figure(
            "memory, above that once they are idle",
            rss()? - idle,
            Unit::Mb,
        )
        .under(10.0);
    let peak = peak_mb(pid).context("the server's memory cannot be read")?;
    section.figure("memory, at its most", peak, Unit::Mb);
    started.stop().await
}
