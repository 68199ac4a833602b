//! Tests of the simulation itself, without the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use k8shost_store::env::Env;
use k8shost_store::kv::Kv;

use crate::env::SimEnv;
use crate::kv::SimKv;
use crate::mix::{Mix, Recipe, WINDOW};
use crate::names::Names;
use crate::object::Obj;
use crate::rng::Rng;
use crate::run::{Setup, Sim};

fn sim(seed: u64) -> (Sim, Arc<SimKv>, Arc<SimEnv>) {
    let setup = Setup {
        seed,
        recipe: Recipe::Even,
        mutation: None,
        white: false,
        trace: false,
    };
    let mut rng = Rng::new(seed);
    // A paused server would send later than it was asked to.
    let mix = Mix {
        pause: 0,
        ..Mix::draw(Recipe::Even, &mut rng)
    };
    let sim = Sim::new(&setup, mix, rng);
    let kv = SimKv {
        world: sim.world.clone(),
        server: 0,
        incarnation: 1,
        exclusive: false,
    };
    let env = SimEnv {
        world: sim.world.clone(),
        server: 0,
        incarnation: 1,
    };
    (sim, Arc::new(kv), Arc::new(env))
}

#[test]
fn a_projection_that_is_written_lands_within_half_the_window_or_never() {
    let key = Names::new(1).tenants[1].projection_key("pods/default/a");
    let mut late = 0;
    for seed in 0..300 {
        let (mut sim, kv, env) = sim(seed);
        let object = Obj {
            revision: 1,
            ..Obj::default()
        };
        let write = (key.clone(), Some(object.value()));
        env.spawn(Box::pin(async move {
            drop(kv.write(vec![write]).await);
        }));
        let began = sim.world.core().now;
        sim.go_on(began + WINDOW / 2 - 1);
        let landed = sim.world.core().map.contains_key(&key);
        sim.world.core().violation = None;
        sim.go_on(began + 10 * WINDOW);
        assert_eq!(landed, sim.world.core().map.contains_key(&key));
        late += u64::from(landed);
    }
    assert!(late > 100, "only {late} of 300 landed at all");
}

#[test]
fn a_request_whose_caller_is_gone_takes_effect_all_the_same() {
    let key = Names::new(1).tenants[1].projection_key("pods/default/a");
    let mut landed = 0;
    for seed in 0..100 {
        let (mut sim, kv, env) = sim(seed);
        let write = (key.clone(), Some(Obj::default().value()));
        env.spawn(Box::pin(async move {
            let mut call = kv.write(vec![write]);
            drop(futures::poll!(&mut call));
        }));
        sim.go_on(10 * WINDOW);
        landed += u64::from(sim.world.core().map.contains_key(&key));
    }
    assert!(landed > 50, "only {landed} of 100");
}

#[test]
fn a_sleep_is_over_no_earlier_than_it_was_to_be() {
    let (mut sim, _, env) = sim(1);
    let over = Arc::new(AtomicU64::new(0));
    let (clock, told) = (env.clone(), over.clone());
    env.spawn(Box::pin(async move {
        let began = clock.now();
        clock.sleep(Duration::from_millis(1500)).await;
        told.store((clock.now() - began).as_millis() as u64, Relaxed);
    }));
    sim.go_on(4 * WINDOW);
    assert!(over.load(Relaxed) >= 1500, "{over:?}");
}
