//! Answers event by event.

use super::{Answer, Predictor, Spent};
use crate::{Error, Result};
use tickless_engine::{Program, Session};
use tickless_events::Sample;

pub(super) fn answer(p: &Predictor<'_>, program: &Program, sample: &Sample) -> Result<Answer> {
    let Sample::Events(recording) = sample else {
        return Err(Error::Images { set: p.run.recipe.data.set.clone() });
    };
    let confidence = p.confidence();
    let mut session = Session::new(program);
    let stopped = match &p.exit {
        None => {
            session.feed(recording)?;
            false
        }
        Some(exit) => session.feed_until(recording, exit)?,
    };
    let decision = session.decision(&confidence);
    let spent = Spent::Events { events: decision.events, us: decision.us, synaptic_operations: session.synaptic_ops() };
    let gain = f64::from(confidence.gain) / confidence.t_max.max(1) as f64;
    Ok(Answer::of(session.logits(), gain, stopped, spent))
}
