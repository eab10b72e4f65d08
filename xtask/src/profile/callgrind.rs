//! Reads what callgrind writes: the cost of each function, by itself and with all it calls.

use std::collections::BTreeMap;

/// Instructions of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// In the function itself.
    pub(super) own: u64,
    /// In it and in what it calls, as its callers count it; recursion is counted again at each level.
    pub(super) whole: u64,
}

/// The costs of a run by function.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Costs {
    pub(super) functions: BTreeMap<String, Cost>,
    pub(super) total: u64,
}

/// Names that stand for themselves the first time and for a number later: `fn=(12) name`, then `fn=(12)`.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn resolve(&mut self, text: &str) -> String {
        let Some((number, name)) = text.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
            return text.to_owned();
        };
        let name = name.trim();
        if name.is_empty() {
            return self.0.get(number).cloned().unwrap_or_default();
        }
        self.0.insert(number.to_owned(), name.to_owned());
        name.to_owned()
    }
}

impl Costs {
    /// Reads an output file (callgrind's format, version 1, one event).
    pub(super) fn parse(text: &str) -> Self {
        let (mut costs, mut names) = (Self::default(), Names::default());
        let (mut function, mut callee, mut is_call) = (String::new(), String::new(), false);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = names.resolve(name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = names.resolve(name);
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) {
                let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
                if std::mem::take(&mut is_call) {
                    costs.functions.entry(callee.clone()).or_default().whole += cost;
                } else {
                    costs.functions.entry(function.clone()).or_default().own += cost;
                    costs.total += cost;
                }
            }
        }
        costs
    }

    /// What this run cost beyond another one.
    pub(super) fn beyond(mut self, other: &Self) -> Self {
        for (name, cost) in &mut self.functions {
            let before = other.functions.get(name).copied().unwrap_or_default();
            cost.own = cost.own.saturating_sub(before.own);
            cost.whole = cost.whole.saturating_sub(before.whole);
        }
        self.total = self.total.saturating_sub(other.total);
        self
    }

    /// The instructions in functions that `of` picks, without what they call.
    pub(super) fn own(&self, of: impl Fn(&str) -> bool) -> u64 {
        self.functions.iter().filter(|(name, _)| of(name)).map(|(_, cost)| cost.own).sum()
    }

    /// The instructions in functions that `of` picks, and in what they call.
    pub(super) fn whole(&self, of: impl Fn(&str) -> bool) -> u64 {
        self.functions.iter().filter(|(name, _)| of(name)).map(|(_, cost)| cost.whole).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 1\nevents: Ir\n\nfl=(1) a.rs\nfn=(1) main\n16 400\ncfi=(2) b.rs\ncfn=(2) work\ncalls=3 50\n16 700\n+1 10\n\nfl=(2)\nfn=(2)\n51 600\ncfn=(3) malloc\ncalls=1 7\n* 100\nfn=(3)\n7 100\n";

    #[test]
    fn own_and_whole_costs_are_told_apart() {
        let costs = Costs::parse(FILE);
        assert_eq!(costs.total, 1110);
        assert_eq!(costs.functions["main"], Cost { own: 410, whole: 0 });
        assert_eq!(costs.functions["work"], Cost { own: 600, whole: 700 });
        assert_eq!(costs.functions["malloc"], Cost { own: 100, whole: 100 });
        assert_eq!(costs.own(|name| name != "main"), 700);
    }

    #[test]
    fn what_two_runs_have_in_common_falls_out() {
        let less = Costs::parse(FILE);
        let more = Costs::parse(&FILE.replace("51 600", "51 900").replace("16 700", "16 1000"));
        let beyond = more.beyond(&less);
        assert_eq!((beyond.total, beyond.functions["work"]), (300, Cost { own: 300, whole: 300 }));
        assert_eq!(beyond.functions["malloc"], Cost::default());
    }
}
