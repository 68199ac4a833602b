//! The search for a free address or port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Allocator, write_ip_claim};

/// Random probes before the search goes on one by one: enough that it seldom has to.
const PROBES: u32 = 1024;
/// The numbers that are then tried at most: all of a /12, and in a larger range so many that there
/// is no end to wait for.
const STEPS: u128 = 1 << 20;

/// Writes the claim of a number.
pub(super) type ClaimOf<'a> = &'a dyn Fn(u128, &mut String);

impl Allocator<'_> {
    /// A free address: from the upper part of the range, and from the lower, which is meant for those
    /// that are asked for, when that is full. The very first is never handed out: it is that of the
    /// Service kubernetes.
    pub(super) fn any_ip(&mut self, cidr: &IpNet) -> Option<IpAddr> {
        let (first, last) = usable(cidr);
        // As many as Kubernetes keeps for static allocation (KEP-3070).
        let size = 1_u128 << (cidr.max_prefix_len() - cidr.prefix_len()).min(100);
        let kept = if size <= 16 {
            0
        } else {
            (size / 16).clamp(16, 256)
        };
        let to_ip = |number: u128| from_number(cidr, number);
        let claim_of = |number, claim: &mut String| write_ip_claim(to_ip(number), claim);
        let upper = (first + kept.max(1), last);
        let lower = (first + 1, (first + kept).saturating_sub(1));
        let found = self.search_both(upper, lower, &claim_of)?;
        Some(to_ip(found))
    }

    /// A free number of the upper range, or else of the lower. One that was held a moment ago is
    /// taken only when there is no other.
    pub(super) fn search_both(
        &mut self,
        upper: (u128, u128),
        lower: (u128, u128),
        claim_of: ClaimOf<'_>,
    ) -> Option<u128> {
        let mut released = None;
        if let Some(found) = self.search(upper, claim_of, &mut released) {
            return Some(found);
        }
        let found = self.search(lower, claim_of, &mut released);
        found.or(released)
    }

    /// A free number of a range: some at random, then one after the other. The first that was held
    /// a moment ago is noted.
    fn search(
        &mut self,
        (first, last): (u128, u128),
        claim_of: ClaimOf<'_>,
        released: &mut Option<u128>,
    ) -> Option<u128> {
        if first > last {
            return None;
        }
        let size = last - first + 1;
        let mut claim = String::new();
        let mut try_one = |this: &Self, number: u128| {
            claim.clear();
            claim_of(number, &mut claim);
            if this.own.contains(&claim) || (this.in_use)(&claim) {
                return false;
            }
            if (this.recently_released)(&claim) {
                released.get_or_insert(number);
                return false;
            }
            true
        };
        for _ in 0..PROBES {
            let number = first + self.next_random() % size;
            if try_one(self, number) {
                return Some(number);
            }
        }
        let start = self.next_random() % size;
        for step in 0..size.min(STEPS) {
            let number = first + (start + step) % size;
            if try_one(self, number) {
                return Some(number);
            }
        }
        None
    }

    /// SplitMix64, twice.
    fn next_random(&mut self) -> u128 {
        let mut next = || {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(z ^ (z >> 31))
        };
        (next() << 64) | next()
    }
}

/// The numbers of the first and the last address that a Service can have: not the network's, nor,
/// for IPv4, the broadcast address.
pub(super) fn usable(cidr: &IpNet) -> (u128, u128) {
    let (first, last) = (number(cidr.network()), number(cidr.broadcast()));
    match cidr {
        IpNet::V4(_) => (first + 1, last.saturating_sub(1).max(first + 1)),
        IpNet::V6(_) => (first + 1, last.max(first + 1)),
    }
}

pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

pub(super) fn from_number(cidr: &IpNet, number: u128) -> IpAddr {
    match cidr {
        IpNet::V4(_) => {
            let number = u32::try_from(number).expect("within an IPv4 range");
            IpAddr::V4(Ipv4Addr::from(number))
        }
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}
