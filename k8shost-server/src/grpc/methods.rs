//! The table of methods: which path of the gRPC API is which verb on which kind.

use crate::registry::kind::{Kind, NAMESPACES, NODES, PODS, SERVICES};

/// What a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Get,
    List,
    Update,
    UpdateStatus,
    Delete,
    Watch,
    Bind,
    Register,
    Heartbeat,
    CreateOrganization,
    GetOrganization,
    ListOrganizations,
    DeleteOrganization,
    CreateProject,
    GetProject,
    ListProjects,
    DeleteProject,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Method {
    /// `/k8shost.v1.PodService/CreatePod`.
    pub(crate) path: &'static str,
    pub(crate) verb: Verb,
    /// `None`: organizations and projects.
    pub(crate) kind: Option<&'static Kind>,
}

macro_rules! methods {
    ($($service:literal $kind:expr => { $($name:literal $verb:ident)* })*) => {
        &[$($(Method {
            path: concat!("/k8shost.v1.", $service, "/", $name),
            verb: Verb::$verb,
            kind: $kind,
        },)*)*]
    };
}

/// Every method of package `k8shost.v1`. A test holds it against the descriptors.
pub(crate) static METHODS: &[Method] = methods! {
    "PodService" Some(&PODS) => {
        "CreatePod" Create
        "GetPod" Get
        "ListPods" List
        "UpdatePod" Update
        "UpdatePodStatus" UpdateStatus
        "DeletePod" Delete
        "BindPod" Bind
        "WatchPods" Watch
    }
    "ServiceService" Some(&SERVICES) => {
        "CreateService" Create
        "GetService" Get
        "ListServices" List
        "UpdateService" Update
        "UpdateServiceStatus" UpdateStatus
        "DeleteService" Delete
        "WatchServices" Watch
    }
    "NamespaceService" Some(&NAMESPACES) => {
        "CreateNamespace" Create
        "GetNamespace" Get
        "ListNamespaces" List
        "UpdateNamespace" Update
        "UpdateNamespaceStatus" UpdateStatus
        "DeleteNamespace" Delete
        "WatchNamespaces" Watch
    }
    "NodeService" Some(&NODES) => {
        "RegisterNode" Register
        "Heartbeat" Heartbeat
        "GetNode" Get
        "ListNodes" List
        "UpdateNode" Update
        "DeleteNode" Delete
        "WatchNodes" Watch
    }
    "OrganizationService" None => {
        "CreateOrganization" CreateOrganization
        "GetOrganization" GetOrganization
        "ListOrganizations" ListOrganizations
        "DeleteOrganization" DeleteOrganization
    }
    "ProjectService" None => {
        "CreateProject" CreateProject
        "GetProject" GetProject
        "ListProjects" ListProjects
        "DeleteProject" DeleteProject
    }
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;

    #[test]
    fn the_table_has_exactly_the_published_methods() {
        let set =
            prost_types::FileDescriptorSet::decode(k8shost_proto::FILE_DESCRIPTOR_SET).unwrap();
        let published: BTreeSet<String> = set
            .file
            .iter()
            .filter(|file| file.package() == "k8shost.v1")
            .flat_map(|file| &file.service)
            .flat_map(|s| {
                s.method
                    .iter()
                    .map(|m| format!("/k8shost.v1.{}/{}", s.name(), m.name()))
            })
            .collect();
        let served: BTreeSet<String> = METHODS.iter().map(|m| m.path.to_owned()).collect();
        assert_eq!(served, published);
        assert_eq!(served.len(), METHODS.len(), "no path twice");
    }
}
