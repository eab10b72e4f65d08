//! Workers made from a seed. Every task adds what it got to the object that flows through.

use crate::simulation::base::TAINT;
use mandate_testkit::SimEntropy;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A Worker and the kinds of tasks in it.
pub(crate) struct Made {
    pub(crate) worker: Value,
    pub(crate) kinds: BTreeSet<&'static str>,
}

/// Types of the events that Workers emit and listen to.
pub(crate) const EVENTS: [&str; 2] = ["ready", "note"];

/// A Worker from a seed.
pub(crate) fn make(seed: u64) -> Made {
    let rng = SimEntropy::new(seed ^ 0x9_0912);
    if rng.below(12) == 0 {
        let worker = if rng.below(2) == 0 { crate::house::small_worker() } else { crate::house::forked_worker() };
        return Made { worker, kinds: BTreeSet::from(["by hand"]) };
    }
    let mut maker = Maker { rng: &rng, names: 0, kinds: BTreeSet::new(), tainted: Vec::new() };
    let count = 2 + rng.below(6);
    let tasks = maker.list(2, count);
    let kinds = maker.kinds;
    let mut worker = crate::house::worker(&Value::Array(tasks));
    worker["functions"] = json!(["sim.read", "sim.once", "sim.write", "sim.taint", "sim.gated", "approval"]);
    worker["authoritySeconds"] = json!(7_200);
    Made { worker, kinds }
}

struct Maker<'a> {
    rng: &'a SimEntropy,
    names: u32,
    kinds: BTreeSet<&'static str>,
    /// Members that may hold a value of the receiver nobody trusts.
    tainted: Vec<String>,
}

const COMMUNICATION: &str = "https://open-workflow-specification.org/spec/1.0.0/errors/communication";

impl Maker<'_> {
    fn name(&mut self, kind: &'static str) -> String {
        self.kinds.insert(kind);
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    fn below(&self, n: u64) -> u64 {
        self.rng.below(n)
    }

    fn list(&mut self, depth: u32, count: u64) -> Vec<Value> {
        (0..count).map(|_| self.task(depth)).collect()
    }

    fn task(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 12 } else { 20 }) {
            0 | 1 => self.call("read", "sim.read"),
            2 | 3 => self.call("once", "sim.once"),
            4 | 5 => self.write(),
            6 | 7 => self.taint(),
            8 => self.pause(),
            9 => self.emit(),
            10 => self.set(),
            11 => self.asks(),
            12 | 13 => self.fork(depth),
            14 | 15 => self.attempt(depth),
            16 => self.branch(),
            17 => self.each(),
            18 => self.listen(),
            _ => self.limited(depth),
        }
    }

    fn call(&mut self, kind: &'static str, function: &str) -> Value {
        let name = self.name(kind);
        crate::house::call(&name, function, &json!({"n": self.below(5)}))
    }

    fn taint(&mut self) -> Value {
        let name = self.name("taint");
        let task = crate::house::call(&name, "sim.taint", &json!({"n": self.below(5)}));
        self.tainted.push(name);
        task
    }

    /// A write, of something nobody trusts if there is any.
    fn write(&mut self) -> Value {
        let size = match self.tainted.last() {
            Some(name) if self.below(2) == 0 => format!("${{ \"s\" + .{name}.mark }}"),
            _ => "s".to_owned(),
        };
        let name = self.name("write");
        crate::house::call(&name, "sim.write", &json!({"n": self.below(5), "size": size}))
    }

    fn pause(&mut self) -> Value {
        let name = self.name("wait");
        let wait = match self.below(8) {
            0 => json!({"milliseconds": 300}),
            1 => json!({"minutes": 1 + self.below(15)}),
            _ => json!({"seconds": 1 + self.below(40)}),
        };
        json!({name: {"wait": wait}})
    }

    fn emit(&mut self) -> Value {
        let name = self.name("emit");
        let kind = EVENTS[self.below(2) as usize];
        let data = match self.tainted.last() {
            Some(name) if self.below(2) == 0 => json!({"said": format!("${{ .{name}.mark }}")}),
            _ => json!({"said": 1}),
        };
        json!({name: {"emit": {"event": {"with": {"type": kind, "data": data}}}, "output": {"as": "${ $input }"}}})
    }

    fn set(&mut self) -> Value {
        let name = self.name("set");
        json!({name.clone(): {"set": format!("${{ . + {{ {name}: {} }} }}", self.below(9))}})
    }

    /// People are asked: to let a call pass, or for data.
    fn asks(&mut self) -> Value {
        if self.below(2) == 0 {
            return self.call("gated", "sim.gated");
        }
        let name = self.name("review");
        let form = json!({"type": "object", "required": ["verdict"], "additionalProperties": false,
            "properties": {"verdict": {"type": "string", "enum": ["good", "bad"]}}});
        let with = json!({"title": "Look at this", "data": {"n": 1}, "form": form});
        crate::house::call(&name, "approval", &with)
    }

    fn fork(&mut self, depth: u32) -> Value {
        let compete = self.below(3) == 0;
        let name = self.name(if compete { "race" } else { "fork" });
        let outside = self.tainted.len();
        let mut branches = Vec::new();
        for _ in 0..2 + self.below(2) {
            let count = 1 + self.below(3);
            let mut tasks = self.list(depth - 1, count);
            let got = self.tainted.last().map_or(json!(1), |name| json!(format!("${{ .{name}.mark }}")));
            tasks.push(json!({self.name("last"): {"set": {"got": got}}}));
            branches.push(json!({self.name("branch"): {"do": tasks}}));
            self.tainted.truncate(outside);
        }
        let output = format!("${{ $input + {{ {name}: . }} }}");
        json!({name: {"fork": {"compete": compete, "branches": branches}, "output": {"as": output}}})
    }

    fn attempt(&mut self, depth: u32) -> Value {
        let name = self.name("try");
        let outside = self.tainted.len();
        let mut tasks = match self.below(4) {
            0 => vec![
                json!({self.name("raise"): {"raise": {"error": {"type": COMMUNICATION, "status": 503, "title": "no"}}}}),
            ],
            _ => Vec::new(),
        };
        let count = 1 + self.below(2);
        tasks.extend(self.list(depth - 1, count));
        self.tainted.truncate(outside);
        let note = json!({self.name("note"): {"set": format!("${{ . + {{ {name}: \"caught\" }} }}")}});
        let mut catch = json!({"do": [note]});
        if self.below(2) == 0 {
            self.kinds.insert("retry");
            catch["errors"] = json!({"with": {"type": COMMUNICATION}});
            catch["retry"] = json!({"delay": {"seconds": 1 + self.below(9)}, "limit": {"attempt": {"count": 2}}});
        }
        json!({name: {"try": tasks, "catch": catch}})
    }

    /// What decides may be something nobody trusts; then so is what was decided.
    fn branch(&mut self) -> Value {
        let name = self.name("switch");
        let (when, mark) = match self.tainted.last() {
            Some(of) => (format!("${{ .{of}.n > 1 }}"), TAINT),
            None => (format!("${{ .n > {} }}", self.below(3)), "none"),
        };
        let set = |what: &str| json!({"set": format!("${{ . + {{ {name}: \"{mark}{what}\" }} }}"), "then": "exit"});
        let choose = json!({"switch": [{"many": {"when": when, "then": "large"}}, {"few": {"then": "little"}}]});
        json!({name.clone(): {"do": [{"choose": choose}, {"large": set("large")}, {"little": set("little")}]}})
    }

    fn each(&mut self) -> Value {
        let name = self.name("for");
        let (inner, function) = if self.below(2) == 0 { ("again", "sim.read") } else { ("act", "sim.once") };
        let task = crate::house::call(inner, function, &json!({"n": "${ $row }"}));
        json!({name: {"for": {"each": "row", "in": "${ [1, 2] }"}, "do": [task]}})
    }

    /// Waits for an event, for some time or for ever.
    fn listen(&mut self) -> Value {
        let name = self.name("listen");
        let filter = json!({"with": {"type": EVENTS[self.below(2) as usize]}});
        let to = if self.below(3) == 0 { json!({"any": [filter]}) } else { json!({"one": filter}) };
        let output = format!("${{ $input + {{ {name}: . }} }}");
        let mut task = json!({"listen": {"to": to}, "output": {"as": output}});
        if self.below(3) == 0 {
            return json!({name: task});
        }
        task["timeout"] = json!({"after": {"seconds": 5 + self.below(100)}});
        let note = json!({self.name("late"): {"set": format!("${{ . + {{ {name}: \"late\" }} }}")}});
        json!({self.name("timely"): {"try": [{name: task}], "catch": {"do": [note]}}})
    }

    /// Some tasks under a timeout.
    fn limited(&mut self, depth: u32) -> Value {
        let (name, outside) = (self.name("timeout"), self.tainted.len());
        let count = 1 + self.below(2);
        let tasks = self.list(depth - 1, count);
        self.tainted.truncate(outside);
        let limited = json!({"do": tasks, "timeout": {"after": {"seconds": 3 + self.below(40)}}});
        let note = json!({self.name("late"): {"set": format!("${{ . + {{ {name}: \"late\" }} }}")}});
        json!({name.clone(): {"try": [{self.name("limited"): limited}], "catch": {"do": [note]}}})
    }
}
