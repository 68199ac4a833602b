//! Many tenants with one pod each: how fast they are made, and what is left of them in memory.

use anyhow::Context as _;
use k8shost_proto::v1;

use super::run_of;
use crate::{
    api::{call, template},
    client::Pool,
    host::Bench,
    load::{self, Until},
    procfs::{Meter, peak_mb, rss_mb},
    report::{Section, Unit},
    template::{INDEX, Tenant},
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
    let pids = started.process.pids();
    let endpoint = started.endpoint()?;
    let pool = Pool::open(&endpoint, bench.connections).await?;
    // Only gRPC has organizations and projects; the pods are of the API that is measured.
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
    let rss = || rss_mb(&pids).context("the server's memory cannot be read");
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
    let project = template("/k8shost.v1.ProjectService/CreateProject", &project);
    let tenant = Tenant {
        org: ORG,
        project: format!("p-{INDEX}"),
    };
    let pods = bench.api(&endpoint).pods(Some(&tenant), "default")?;
    let calls = move |index| [project.call(index, 0), pods.create.call(index, 0)];
    let meter = Meter::new(&pids);
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
    let peak = peak_mb(&pids).context("the server's memory cannot be read")?;
    section.figure("memory, at its most", peak, Unit::Mb);
    started.stop().await
}
