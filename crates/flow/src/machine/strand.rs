//! Strands: the branches of a run. The run itself is the root strand; a `fork` adds one for each of its
//! branches, below the strand it stands in, which then waits for them.

use super::{
    EmitId, EvalId, ListenId, Machine, TimerId,
    event::{Intent, Open},
    frame::{Data, Frame, Purpose, State, TaskFrame},
    step::{Move, Step},
    trace::Ending,
};
use mandate_kernel::{Labels, StepSeq};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Names a strand: the root is the first, others follow in the order in which they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StrandId(pub(super) u32);

impl StrandId {
    /// The run itself.
    pub(super) const ROOT: Self = Self(0);
}

/// One branch of the run: a stack of frames, the data that flows through it, and what it waits for.
#[derive(Debug, Clone)]
pub(super) struct Strand {
    pub(super) id: StrandId,
    pub(super) above: Option<Above>,
    /// `$context`: each branch has its own, which begins as its fork's.
    pub(super) context: Data,
    /// The data that flows from task to task.
    pub(super) data: Data,
    /// The label of the control flow. Only rises.
    pub(super) pc: Labels,
    pub(super) frames: Vec<Frame>,
    pub(super) waiting: Waiting,
}

/// Where a branch hangs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Above {
    pub(super) strand: StrandId,
    /// Which branch of the fork there, from 0.
    pub(super) index: usize,
    /// Whether something in the branch may end the whole run.
    pub(super) ends: bool,
}

/// What a strand waits for.
#[derive(Debug, Clone)]
pub(super) enum Waiting {
    /// An evaluation, with the labels of what was lent.
    Evaluation { id: EvalId, labels: Labels, purpose: Purpose },
    /// A call, with the labels of its arguments.
    Call { seq: StepSeq, labels: Labels },
    /// A timer.
    Timer { id: TimerId },
    /// An event to be emitted: what the task gives.
    Emit { id: EmitId, event: Data },
    /// Events.
    Events { id: ListenId },
    /// Its own branches, or its turn.
    Branches,
}

impl Waiting {
    /// What the engine has open for it.
    pub(super) const fn open(&self) -> Option<Open> {
        match self {
            Self::Evaluation { id, .. } => Some(Open::Evaluation(*id)),
            Self::Call { seq, .. } => Some(Open::Call(*seq)),
            Self::Timer { id } => Some(Open::Timer(*id)),
            Self::Emit { id, .. } => Some(Open::Emit(*id)),
            // Its task listens as long as it lasts, also between two events.
            Self::Events { .. } | Self::Branches => None,
        }
    }
}

/// Strands other than the one that is driven, and what is to be driven next.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    pub(super) strands: BTreeMap<StrandId, Strand>,
    pub(super) ready: VecDeque<(StrandId, Move)>,
    /// What was asked for since the last event.
    pub(super) asked: Vec<Intent>,
}

impl Strand {
    /// Whether an error in here, or below, would be looked at by a `catch` of this strand.
    pub(super) fn tries(&self) -> bool {
        self.tasks().any(|task| matches!(task.state, State::Try { handling: false, .. }))
    }

    pub(super) fn competes(&self) -> bool {
        self.tasks().any(|task| matches!(task.state, State::Fork { compete: true, .. }))
    }

    pub(super) fn is_timed(&self) -> bool {
        self.tasks().any(|task| task.deadline.is_some())
    }

    pub(super) fn listens(&self, id: ListenId) -> bool {
        self.tasks().any(|task| task.listens() == Some(id))
    }

    fn tasks(&self) -> impl Iterator<Item = &TaskFrame> {
        self.frames.iter().filter_map(|frame| match frame {
            Frame::Task(task) => Some(&**task),
            Frame::Block { .. } => None,
        })
    }

    /// Everything the engine has open for it: what it waits for, and the deadlines of its tasks.
    pub(super) fn open(&self) -> impl Iterator<Item = Open> {
        let deadlines = self.tasks().filter_map(|task| task.deadline.map(Open::Timer));
        let listening = self.tasks().filter_map(TaskFrame::listens).map(Open::Listen);
        self.waiting.open().into_iter().chain(deadlines).chain(listening)
    }
}

impl TaskFrame {
    pub(super) fn listens(&self) -> Option<ListenId> {
        match &self.state {
            State::Listen(listening) => Some(listening.id),
            _ => None,
        }
    }
}

impl Machine {
    /// What the tasks of a strand remember.
    pub(super) fn states_mut(&mut self, strand: StrandId) -> impl Iterator<Item = &mut State> {
        let frames = self.strands_mut().filter(move |found| found.id == strand).flat_map(|s| s.frames.iter_mut());
        frames.filter_map(|frame| match frame {
            Frame::Task(task) => Some(&mut task.state),
            Frame::Block { .. } => None,
        })
    }

    /// The strand that is driven, and those above it up to the root.
    pub(super) fn upward(&self) -> impl Iterator<Item = &Strand> {
        std::iter::successors(Some(&self.at), |strand| self.others.strands.get(&strand.above?.strand))
    }

    pub(super) fn strands(&self) -> impl Iterator<Item = &Strand> {
        std::iter::once(&self.at).chain(self.others.strands.values())
    }

    fn strands_mut(&mut self) -> impl Iterator<Item = &mut Strand> {
        std::iter::once(&mut self.at).chain(self.others.strands.values_mut())
    }

    /// Makes a strand the one that is driven; `false` when it is gone.
    pub(super) fn switch(&mut self, to: StrandId) -> bool {
        if self.at.id == to {
            return true;
        }
        let Some(strand) = self.others.strands.remove(&to) else { return false };
        let before = std::mem::replace(&mut self.at, strand);
        self.others.strands.insert(before.id, before);
        true
    }

    /// Leaves the strand that is driven for good, for the one above it.
    pub(super) fn climb(&mut self) -> Option<(Strand, Above)> {
        let above = self.at.above?;
        let strand = self.others.strands.remove(&above.strand)?;
        Some((std::mem::replace(&mut self.at, strand), above))
    }

    /// The strand and all below it.
    fn below(&self, top: StrandId) -> BTreeSet<StrandId> {
        // A strand begins after the one it hangs from, so that one pass in order finds all.
        let mut all: Vec<_> = self.strands().map(|s| (s.id, s.above.map(|above| above.strand))).collect();
        all.sort_unstable();
        let mut found = BTreeSet::from([top]);
        for (id, above) in all {
            if above.is_some_and(|above| found.contains(&above)) {
                found.insert(id);
            }
        }
        found
    }

    /// Ends every strand below one: what they have open is withdrawn. Gives the labels of all that could
    /// have led them where they were.
    pub(super) fn cut_below(&mut self, top: StrandId) -> Labels {
        let mut labels = Labels::default();
        for id in self.below(top) {
            if id == top || id == self.at.id {
                continue;
            }
            let Some(strand) = self.others.strands.remove(&id) else { continue };
            labels = labels.join(&strand.pc);
            self.trace.end_frames(&strand.frames, Ending::Cancelled);
            self.others.asked.extend(strand.open().map(Intent::Cancel));
            self.others.ready.retain(|(ready, _)| *ready != id);
        }
        labels
    }

    /// Notes that the run went one way and not another because of data with these labels: here, and
    /// wherever it may be felt before this branch is joined.
    ///
    /// A branch that may end the run is felt everywhere. One in a competition is felt by its competitors,
    /// one inside a `try` by all branches in there: it decides whether they are cut off.
    pub(super) fn raise(&mut self, labels: &Labels) {
        self.at.pc = self.at.pc.join(labels);
        if self.at.above.is_none() {
            return;
        }
        let Some(reach) = self.reach() else { return };
        let felt = self.below(reach);
        for strand in self.strands_mut().filter(|strand| felt.contains(&strand.id)) {
            strand.pc = strand.pc.join(labels);
        }
    }

    /// The topmost strand all of which goes another way when this one does.
    fn reach(&self) -> Option<StrandId> {
        if self.upward().any(|strand| strand.above.is_some_and(|above| above.ends)) {
            return Some(StrandId::ROOT);
        }
        self.upward().skip(1).filter(|strand| strand.tries() || strand.competes()).last().map(|strand| strand.id)
    }

    /// Notes that a computation on data with these labels did not fail, which a `catch` around here
    /// could tell from its failing.
    pub(super) fn witness(&mut self, labels: &Labels) {
        if self.upward().any(Strand::tries) {
            self.raise(labels);
        }
    }

    /// Notes that something takes as long as data with these labels makes it. That counts where it decides
    /// who is first: in a competition, and under a timeout.
    pub(super) fn timed(&mut self, labels: &Labels) {
        if self.upward().any(|strand| strand.is_timed() || strand.competes()) {
            self.raise(labels);
        }
    }

    /// Takes the top frame off; its task ended so. A deadline of its task is withdrawn.
    pub(super) fn pop(&mut self, ending: Ending) -> Option<Frame> {
        let frame = self.at.frames.pop();
        if let Some(Frame::Task(task)) = &frame {
            self.trace.end(task, ending);
            let open = task.deadline.map(Open::Timer).into_iter().chain(task.listens().map(Open::Listen));
            self.others.asked.extend(open.map(Intent::Cancel));
        }
        frame
    }

    /// Drives what is ready until everything waits.
    pub(super) fn drive(&mut self, first: Move) -> Vec<Intent> {
        self.others.ready.push_back((self.at.id, first));
        while let Some((strand, mut next)) = self.others.ready.pop_front() {
            if !self.switch(strand) {
                continue;
            }
            loop {
                match self.step(next) {
                    Step::Go(more) => next = more,
                    Step::Ask(intent) => {
                        self.others.asked.push(intent);
                        break;
                    }
                    Step::Rest => break,
                    Step::End(intent) => {
                        self.ended = true;
                        self.trace.end_all();
                        self.others = Others::default();
                        return vec![intent];
                    }
                }
            }
        }
        std::mem::take(&mut self.others.asked)
    }
}
