//! The node ports of a Service, and the port of its health check.

use serde_json::Value;

use super::{Allocator, Fault, port_claim, write_port_claim};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, int, list},
    service::{allocates_node_ports, node_ports},
};

impl Allocator<'_> {
    /// A port that is asked for, if it may be had.
    fn port(&mut self, port: i64) -> Result<(), String> {
        let ports = &self.network.node_ports;
        if !u16::try_from(port).is_ok_and(|port| ports.contains(&port)) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                ports.start(),
                ports.end()
            ));
        }
        let claim = port_claim(port);
        if self.own.contains(&claim) || (self.in_use)(&claim) {
            return Err("provided port is already allocated".to_owned());
        }
        self.own.push(claim);
        Ok(())
    }

    fn any_port(&mut self) -> Option<i64> {
        let first = u128::from(*self.network.node_ports.start());
        let last = u128::from(*self.network.node_ports.end());
        let size = last - first + 1;
        let kept = if size <= 16 {
            0
        } else {
            (size / 32).clamp(16, 128)
        };
        let claim_of = |number: u128, claim: &mut String| write_port_claim(number, claim);
        let upper = (first + kept, last);
        let lower = (first, (first + kept).saturating_sub(1));
        let found = self.search_both(upper, lower, &claim_of)?;
        let port = i64::try_from(found).expect("a port");
        self.own.push(port_claim(port));
        Some(port)
    }

    fn any_node_port(&mut self) -> Result<i64, Fault> {
        self.any_port()
            .ok_or_else(|| Fault::Internal("failed to allocate a nodePort: range is full".into()))
    }

    /// Ports of a new Service. Two that differ in the protocol only share a number.
    pub(super) fn new_node_ports(&mut self, spec: &mut Value) -> Result<(), Fault> {
        let wanted: Vec<(i64, i64)> = list(spec, "ports")
            .iter()
            .map(|port| {
                let number = |field| int(port, field).unwrap_or_default();
                (number("port"), number("nodePort"))
            })
            .collect();
        let allocates = allocates_node_ports(spec);
        let mut given: Vec<(i64, i64)> = Vec::new();
        for (i, (port, node_port)) in wanted.iter().copied().enumerate() {
            if node_port == 0 && !allocates {
                continue;
            }
            let shared = given
                .iter()
                .find(|(of, _)| *of == port)
                .map(|(_, number)| *number);
            let number = match shared {
                Some(number) if node_port == 0 || node_port == number => number,
                Some(_) => {
                    self.port(node_port)
                        .map_err(|fault| port_fault(i, node_port, &fault))?;
                    continue;
                }
                None => {
                    let asked = wanted
                        .iter()
                        .find(|(of, number)| *of == port && *number != 0);
                    let number = match asked {
                        Some((_, number)) => {
                            self.port(*number)
                                .map_err(|fault| port_fault(i, *number, &fault))?;
                            *number
                        }
                        None => self.any_node_port()?,
                    };
                    given.push((port, number));
                    number
                }
            };
            set_node_port(spec, i, number);
        }
        Ok(())
    }

    pub(super) fn update_node_ports(&mut self, spec: &mut Value, old: &Value) -> Result<(), Fault> {
        let had: Vec<i64> = node_ports(old).collect();
        let allocates = allocates_node_ports(spec);
        let mut given: Vec<i64> = Vec::new();
        let wanted: Vec<i64> = list(spec, "ports")
            .iter()
            .map(|p| int(p, "nodePort").unwrap_or_default())
            .collect();
        for (i, number) in wanted.into_iter().enumerate() {
            if number == 0 {
                if allocates {
                    let number = self.any_node_port()?;
                    set_node_port(spec, i, number);
                }
            } else if !had.contains(&number) && !given.contains(&number) {
                self.port(number)
                    .map_err(|fault| port_fault(i, number, &fault))?;
                given.push(number);
            }
        }
        Ok(())
    }

    pub(super) fn health_check_port(&mut self, spec: &mut Value) -> Result<(), Fault> {
        let wanted = int(spec, "healthCheckNodePort").unwrap_or_default();
        if wanted != 0 {
            return self.port(wanted).map_err(|fault| {
                Fault::Internal(format!(
                    "failed to allocate requested HealthCheck NodePort {wanted}: {fault}"
                ))
            });
        }
        let port = self.any_port().ok_or_else(|| {
            Fault::Internal("failed to allocate a HealthCheck NodePort 0: range is full".into())
        })?;
        tree::set(spec, "healthCheckNodePort", port);
        Ok(())
    }
}

fn set_node_port(spec: &mut Value, i: usize, number: i64) {
    if let Some(port) = tree::list_mut(spec, "ports").get_mut(i) {
        tree::set(port, "nodePort", number);
    }
}

fn port_fault(i: usize, number: i64, detail: &str) -> Fault {
    let path = Path::new("spec");
    let path = path.child("ports");
    let path = path.index(i);
    FieldError::invalid(&path.child("nodePort"), &number, detail).into()
}
