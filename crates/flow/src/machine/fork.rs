//! `fork`: branches side by side.

use super::{
    Machine,
    frame::{Data, Frame, State},
    step::{Move, Step},
    strand::{Above, Strand, StrandId, Waiting},
    trace::Ending,
};
use crate::{error::Failure, program::task::Branch};
use mandate_kernel::{Labels, canonical_json};
use serde_json::Value;
use std::sync::Arc;

impl Machine {
    /// Begins the branches of the fork on top, in the order of the document.
    pub(super) fn fork(&mut self, branches: &[Branch], compete: bool) -> Step {
        let (context, pc, id) = (self.at.context.clone(), self.at.pc.clone(), self.at.id);
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let (path, input) = (format!("{}/fork/branches", frame.path), frame.input.clone());
        if branches.is_empty() {
            return Step::Go(Move::Output(Data::new(Value::Array(Vec::new()), Labels::default())));
        }
        frame.state = State::Fork { compete, done: vec![None; branches.len()] };
        self.at.waiting = Waiting::Branches;
        for (index, branch) in branches.iter().enumerate() {
            self.counts.strands = self.counts.strands.saturating_add(1);
            let strand = Strand {
                id: StrandId(self.counts.strands),
                above: Some(Above { strand: id, index, ends: branch.ends }),
                context: context.clone(),
                data: input.clone(),
                pc: pc.clone(),
                frames: vec![Frame::Block { block: branch.block, index: 0, offset: index, path: path.clone() }],
                waiting: Waiting::Branches,
            };
            self.others.ready.push_back((strand.id, Move::Next));
            self.others.strands.insert(strand.id, strand);
        }
        Step::Rest
    }

    /// The branch that is driven is done: its fork goes on when it was the last one, or the first of a
    /// competition.
    pub(super) fn joined(&mut self) -> Step {
        let data = self.at.data.clone();
        let Some((strand, above)) = self.climb() else { return Step::Go(Move::Finish) };
        // Whoever was first, or last: from here on the run depends on what each of them went through.
        self.at.pc = self.at.pc.join(&strand.pc);
        let Some(State::Fork { compete, done }) = self.task_mut().map(|frame| &mut frame.state) else {
            return Step::Go(Move::Leave);
        };
        if *compete {
            let losers = self.cut_below(self.at.id);
            self.raise(&losers);
            self.at.context = strand.context;
            return Step::Go(Move::Output(data));
        }
        if let Some(place) = done.get_mut(above.index) {
            *place = Some((data, strand.context));
        }
        if done.iter().any(Option::is_none) {
            return Step::Rest;
        }
        let done: Vec<(Data, Data)> = std::mem::take(done).into_iter().flatten().collect();
        // The labels of a value say nothing of its parts: the list has those of all of them.
        let labels = done.iter().fold(Labels::default(), |labels, (output, _)| labels.join(&output.labels));
        self.at.context = self.merged(done.iter().map(|(_, context)| context));
        let outputs = done.into_iter().map(|(output, _)| Arc::unwrap_or_clone(output.value)).collect();
        Step::Go(Move::Output(Data::new(Value::Array(outputs), labels)))
    }

    /// What the branches exported, put together in the order of the document: of an object each member
    /// that a branch has set, changed or removed; anything else as a whole. What comes later wins.
    fn merged<'a>(&self, contexts: impl Iterator<Item = &'a Data>) -> Data {
        let before = &self.at.context;
        let (mut value, mut labels) = (before.value.clone(), before.labels.clone());
        for context in contexts.filter(|context| !Arc::ptr_eq(&context.value, &before.value)) {
            labels = labels.join(&context.labels);
            match (Arc::make_mut(&mut value), &*before.value, &*context.value) {
                (Value::Object(merged), Value::Object(was), Value::Object(is)) => {
                    for key in was.keys().filter(|key| !is.contains_key(*key)) {
                        merged.remove(key);
                    }
                    for (key, member) in
                        is.iter().filter(|(key, member)| !was.get(*key).is_some_and(|was| same(was, member)))
                    {
                        merged.insert(key.clone(), member.clone());
                    }
                }
                (merged, _, is) => *merged = is.clone(),
            }
        }
        // Also that a branch exported nothing may have depended on what it went through.
        Data { value, labels }.under(&self.at.pc)
    }

    /// An error that nothing in the branch caught is one of its fork: the others are cut off.
    pub(super) fn fail_above(&mut self, failure: Failure) -> Step {
        let Some((strand, _)) = self.climb() else { return self.end(failure) };
        let others = self.cut_below(self.at.id);
        self.raise(&strand.pc.join(&others));
        Step::Go(Move::Throw(failure))
    }

    /// `then: end` in a branch: it becomes the run, and all others are cut off.
    pub(super) fn only_this(&mut self) {
        while self.pop(Ending::Completed).is_some() {}
        while let Some((strand, _)) = self.climb() {
            while self.pop(Ending::Completed).is_some() {}
            let others = self.cut_below(self.at.id);
            self.at.pc = self.at.pc.join(&strand.pc).join(&others);
            (self.at.data, self.at.context) = (strand.data, strand.context);
        }
    }
}

/// Whether two values are the same in canonical form: what a journal gives back has no other.
fn same(a: &Value, b: &Value) -> bool {
    matches!((canonical_json(a), canonical_json(b)), (Ok(a), Ok(b)) if a == b)
}
