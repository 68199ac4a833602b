//! A PD member's face: where regions and stores are, and timestamps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::faults::{Answer, Apply, Asked};
use crate::net::{Incoming, Line};
use crate::proto::keyspacepb::keyspace_server::{Keyspace, KeyspaceServer};
use crate::proto::keyspacepb::{
    KeyspaceMeta, KeyspaceState, LoadKeyspaceRequest, LoadKeyspaceResponse,
};
use crate::proto::metapb;
use crate::proto::pdpb::pd_server::{Pd, PdServer};
use crate::proto::pdpb::{
    Error, ErrorType, GetAllStoresRequest, GetAllStoresResponse, GetMembersRequest,
    GetMembersResponse, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse, GetStoreRequest,
    GetStoreResponse, Member, ResponseHeader, Timestamp, TsoRequest, TsoResponse,
};
use crate::raw::Core;
use crate::topology::{Region, TopologyError};

/// What all PD members share.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) core: Arc<Core>,
    pub(crate) cluster_id: u64,
    /// The addresses of the members, from 0.
    pub(crate) members: Vec<String>,
    /// What their URLs begin with.
    scheme: &'static str,
    /// The addresses of the stores, from store 1.
    pub(crate) stores: Vec<String>,
    /// Who is up, and who leads.
    pub(crate) roles: Mutex<Roles>,
    clock: Mutex<(i64, i64)>,
}

#[derive(Debug)]
pub(crate) struct Roles {
    up: Vec<bool>,
    leader: Option<usize>,
    /// No member is elected until somebody says so.
    leaderless: bool,
}

impl Placement {
    pub(crate) fn new(
        core: Arc<Core>,
        cluster_id: u64,
        scheme: &'static str,
        members: Vec<String>,
        stores: Vec<String>,
    ) -> Placement {
        Placement {
            core,
            cluster_id,
            roles: Mutex::new(Roles {
                up: vec![true; members.len()],
                leader: Some(0),
                leaderless: false,
            }),
            members,
            scheme,
            stores,
            clock: Mutex::default(),
        }
    }

    pub(crate) fn roles(&self) -> std::sync::MutexGuard<'_, Roles> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn header(&self, error: Option<Error>) -> Option<ResponseHeader> {
        Some(ResponseHeader {
            cluster_id: self.cluster_id,
            error,
        })
    }

    /// A timestamp that ends a series of `count`.
    fn timestamp(&self, count: u32) -> Timestamp {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let (physical, logical) = &mut *clock;
        let now = now.as_millis() as i64;
        if now > *physical {
            (*physical, *logical) = (now, 0);
        }
        *logical += i64::from(count);
        Timestamp {
            physical: *physical,
            logical: *logical,
            suffix_bits: 0,
        }
    }
}

impl Roles {
    pub(crate) fn set_up(&mut self, member: usize, up: bool) -> Result<(), TopologyError> {
        *self
            .up
            .get_mut(member)
            .ok_or(TopologyError::NoMember(member))? = up;
        if !up && self.leader == Some(member) {
            self.leader = None;
        }
        Ok(())
    }

    pub(crate) fn elect(&mut self) {
        if self.leader.is_none() && !self.leaderless {
            self.leader = self.up.iter().position(|up| *up);
        }
    }

    pub(crate) fn set_leader(&mut self, member: Option<usize>) -> Result<(), TopologyError> {
        if let Some(member) = member
            && !self.up.get(member).copied().unwrap_or(false)
        {
            return Err(TopologyError::NoMember(member));
        }
        self.leaderless = member.is_none();
        self.leader = member;
        Ok(())
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.leader
    }
}

/// Serves one member on these connections.
pub(crate) async fn serve(
    placement: Arc<Placement>,
    index: usize,
    mut server: Server,
    incoming: Incoming,
) {
    let face = PdMember { placement, index };
    let server = server
        .add_service(KeyspaceServer::new(face.clone()))
        .add_service(PdServer::new(face));
    // Ends when the node is stopped, which aborts it.
    let _ = server.serve_with_incoming(incoming).await;
}

#[derive(Clone, Debug)]
struct PdMember {
    placement: Arc<Placement>,
    index: usize,
}

fn error(kind: ErrorType, message: &str) -> Option<Error> {
    Some(Error {
        r#type: kind.into(),
        message: message.to_owned(),
    })
}

impl PdMember {
    /// Counts the call and does what a fault wants; then, but for GetMembers, only the leader
    /// answers.
    async fn admit<T>(
        &self,
        method: &'static str,
        request: &Request<T>,
        key: &[u8],
    ) -> Result<(), Status> {
        let placement = &self.placement;
        let core = &placement.core;
        core.counters.add(method, |count| count.requests += 1);
        let action = core.faults().decide(&Asked {
            method,
            store: None,
            keys: vec![key],
        });
        let delay = action.delay_ms + action.answer_delay_ms;
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if matches!(action.apply, Apply::Held) {
            // An error means that the cluster is gone.
            let _ = core.released.subscribe().changed().await;
        }
        let refused = match action.answer {
            Answer::Truth | Answer::RegionError(_) | Answer::Error(_) => None,
            Answer::Unavailable => Some(Status::unavailable("injected")),
            Answer::DeadlineExceeded => Some(Status::deadline_exceeded("injected")),
            Answer::Silence => std::future::pending().await,
            Answer::Disconnect => {
                let line = request.extensions().get::<Arc<Line>>();
                line.inspect(|line| line.cut());
                Some(Status::unavailable("the connection is closed"))
            }
        };
        let leads = method == "GetMembers" || placement.roles().leader == Some(self.index);
        match refused.or((!leads).then(|| Status::unavailable("not leader"))) {
            Some(status) => {
                core.counters.add(method, |count| count.errors += 1);
                Err(status)
            }
            None => Ok(()),
        }
    }

    fn member(&self, index: usize) -> Member {
        Member {
            name: format!("pd-{index}"),
            member_id: index as u64 + 1,
            peer_urls: Vec::new(),
            client_urls: vec![format!(
                "{}{}",
                self.placement.scheme, self.placement.members[index]
            )],
        }
    }

    fn store(&self, id: u64) -> Option<metapb::Store> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        Some(metapb::Store {
            id,
            address: self.placement.stores.get(index)?.clone(),
            state: metapb::StoreState::Up.into(),
            labels: Vec::new(),
            version: "8.5.0".to_owned(),
        })
    }

    fn region(&self, found: impl Fn(&Region) -> bool) -> Response<GetRegionResponse> {
        let told = self.placement.core.state().topology.told();
        let region = told.values().find(|region| found(region));
        Response::new(GetRegionResponse {
            header: self.placement.header(None),
            region: region.map(Region::message),
            leader: region.and_then(Region::leader_peer),
        })
    }
}

#[tonic::async_trait]
impl Pd for PdMember {
    async fn get_members(
        &self,
        request: Request<GetMembersRequest>,
    ) -> Result<Response<GetMembersResponse>, Status> {
        self.admit("GetMembers", &request, &[]).await?;
        let leader = self.placement.roles().leader;
        let leader = leader.map(|index| self.member(index));
        let members = 0..self.placement.members.len();
        Ok(Response::new(GetMembersResponse {
            header: self.placement.header(None),
            members: members.map(|index| self.member(index)).collect(),
            leader: leader.clone(),
            etcd_leader: leader,
        }))
    }

    async fn get_store(
        &self,
        request: Request<GetStoreRequest>,
    ) -> Result<Response<GetStoreResponse>, Status> {
        self.admit("GetStore", &request, &[]).await?;
        let store = self.store(request.into_inner().store_id);
        let unknown = store.is_none();
        let error = unknown.then(|| error(ErrorType::Unknown, "invalid store id, not found"));
        Ok(Response::new(GetStoreResponse {
            header: self.placement.header(error.flatten()),
            store,
        }))
    }

    async fn get_all_stores(
        &self,
        request: Request<GetAllStoresRequest>,
    ) -> Result<Response<GetAllStoresResponse>, Status> {
        self.admit("GetAllStores", &request, &[]).await?;
        let ids = 1..=self.placement.stores.len() as u64;
        Ok(Response::new(GetAllStoresResponse {
            header: self.placement.header(None),
            stores: ids.filter_map(|id| self.store(id)).collect(),
        }))
    }

    async fn get_region(
        &self,
        request: Request<GetRegionRequest>,
    ) -> Result<Response<GetRegionResponse>, Status> {
        let key = request.get_ref().region_key.clone();
        self.admit("GetRegion", &request, &key).await?;
        Ok(self.region(|region| region.contains(&key)))
    }

    async fn get_region_by_id(
        &self,
        request: Request<GetRegionByIdRequest>,
    ) -> Result<Response<GetRegionResponse>, Status> {
        self.admit("GetRegionByID", &request, &[]).await?;
        let id = request.into_inner().region_id;
        Ok(self.region(|region| region.id == id))
    }

    async fn tso(
        &self,
        request: Request<Streaming<TsoRequest>>,
    ) -> Result<Response<BoxStream<TsoResponse>>, Status> {
        self.admit("Tso", &request, &[]).await?;
        let placement = self.placement.clone();
        let answers = request.into_inner().map(move |request| {
            let count = request?.count;
            Ok(TsoResponse {
                header: placement.header(None),
                count,
                timestamp: Some(placement.timestamp(count)),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tonic::async_trait]
impl Keyspace for PdMember {
    async fn load_keyspace(
        &self,
        request: Request<LoadKeyspaceRequest>,
    ) -> Result<Response<LoadKeyspaceResponse>, Status> {
        self.admit("LoadKeyspace", &request, &[]).await?;
        let name = request.into_inner().name;
        let known = name == "DEFAULT";
        let error = (!known).then(|| error(ErrorType::EntryNotFound, "keyspace does not exist"));
        Ok(Response::new(LoadKeyspaceResponse {
            header: self.placement.header(error.flatten()),
            keyspace: known.then_some(KeyspaceMeta {
                id: 0,
                name,
                state: KeyspaceState::Enabled.into(),
            }),
        }))
    }
}
