//! How quantities, events and questions are said: the seen phrasings, and the held-out ones.
//!
//! Problem sentences vary; the line of a solution follows from the problem's own words, so that its wording is predictable.

use rand::Rng;

/// What is counted, and the verb that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Things,
    Money,
    Pages,
    Minutes,
}

/// The voice of one story.
pub(super) struct Voice {
    pub kind: Kind,
    /// Plural of what is counted.
    pub unit: &'static str,
    /// What groups of it are kept in.
    pub holders: (&'static str, &'static str),
    /// Only held-out phrasings.
    pub unseen: bool,
    /// `in total` instead of `together`.
    pub in_total: bool,
}

/// Where a person's quantity comes from; people are indices into the story's cast.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Given(i64),
    /// `a` groups of `b`.
    Groups(i64, i64),
    /// `a` groups of `b`, and `c` more.
    GroupsPlus(i64, i64, i64),
    /// `a` dozens or hours.
    Units(i64),
    /// `a` dozens or hours, and `c` more.
    UnitsPlus(i64, i64),
    /// `n` more than another person.
    More(usize, i64),
    /// `n` fewer than another person.
    Fewer(usize, i64),
    /// `k` times another person's.
    Times(usize, i64),
    /// A `k`-th of another person's.
    Part(usize, i64),
    /// As many as two others together.
    Sum(usize, usize),
}

/// Picks a phrasing.
pub(super) fn pick(rng: &mut impl Rng, unseen: bool, seen: &[String], held_out: &[String]) -> String {
    let from = if unseen { held_out } else { seen };
    from.get(rng.random_range(0..from.len().max(1))).cloned().unwrap_or_default()
}

fn part_word(k: i64) -> &'static str {
    match k {
        2 => "half",
        3 => "a third",
        4 => "a quarter",
        _ => "a fifth",
    }
}

fn times_word(k: i64) -> String {
    if k == 2 { "twice".into() } else { format!("{k} times") }
}

impl Voice {
    /// The verb for one person.
    pub fn verb(&self) -> &'static str {
        match self.kind {
            Kind::Things => "has",
            Kind::Money => "earns",
            Kind::Pages => "reads",
            Kind::Minutes => "walks",
        }
    }

    /// The verb for several people, and after `does`.
    pub fn base(&self) -> &'static str {
        match self.kind {
            Kind::Things => "have",
            Kind::Money => "earn",
            Kind::Pages => "read",
            Kind::Minutes => "walk",
        }
    }

    /// How many of the unit a dozen or an hour is, where there is such a larger unit.
    pub fn unit_size(&self) -> Option<i64> {
        match self.kind {
            Kind::Things => Some(12),
            Kind::Minutes => Some(60),
            _ => None,
        }
    }

    /// Noun of the groups, as the lines name it.
    pub fn group_noun(&self) -> &'static str {
        match self.kind {
            Kind::Things => self.holders.0,
            Kind::Money => "work",
            Kind::Pages | Kind::Minutes => "days",
        }
    }

    /// Noun of the larger unit, as the lines name it.
    pub fn larger_noun(&self) -> &'static str {
        if self.kind == Kind::Minutes { "hours" } else { "dozens" }
    }

    /// The sentence that states a fact.
    pub fn fact(&self, rng: &mut impl Rng, cast: &[&str], person: usize, source: Source) -> String {
        let (n, u, v, base) = (cast[person], self.unit, self.verb(), self.base());
        let (many, one) = self.holders;
        let (seen, held_out): (Vec<String>, Vec<String>) = match source {
            Source::Given(x) => (
                vec![format!("{n} {v} {x} {u}.")],
                vec![format!("The number of {u} that {n} {v} is {x}."), format!("There are {x} {u} that {n} {v}.")],
            ),
            Source::Groups(a, b) => match self.kind {
                Kind::Things => (
                    vec![format!("{n} has {a} {many} with {b} {u} each."), format!("{n} has {a} {many}. Each {one} of {n} holds {b} {u}.")],
                    vec![format!("There are {b} {u} in each of the {a} {many} that {n} has.")],
                ),
                Kind::Money => (
                    vec![
                        format!("{n} works {a} hours for {b} dollars an hour."),
                        format!("{n} earns {b} dollars an hour and works {a} hours."),
                    ],
                    vec![format!("For each of {a} hours of work, {n} gets {b} dollars.")],
                ),
                Kind::Pages | Kind::Minutes => (
                    vec![format!("{n} {v} {b} {u} a day for {a} days."), format!("For {a} days, {n} {v} {b} {u} a day.")],
                    vec![format!("On each of {a} days, {n} {v} {b} {u}.")],
                ),
            },
            Source::GroupsPlus(a, b, c) => match self.kind {
                Kind::Things => (
                    vec![format!("{n} has {a} {many} with {b} {u} each and {c} more {u}.")],
                    vec![format!("There are {b} {u} in each of the {a} {many} that {n} has, and {n} has {c} other {u}.")],
                ),
                Kind::Money => (
                    vec![format!("{n} works {a} hours for {b} dollars an hour and gets {c} more dollars.")],
                    vec![format!("For each of {a} hours of work, {n} gets {b} dollars, and {c} dollars come on top.")],
                ),
                Kind::Pages | Kind::Minutes => (
                    vec![format!("{n} {v} {b} {u} a day for {a} days and then {c} more {u}.")],
                    vec![format!("On each of {a} days, {n} {v} {b} {u}, and {c} {u} come on top.")],
                ),
            },
            Source::Units(a) => match self.kind {
                Kind::Minutes => (vec![format!("{n} walks {a} hours.")], vec![format!("The walk of {n} takes {a} hours.")]),
                _ => (vec![format!("{n} has {a} dozen {u}.")], vec![format!("There are {a} dozen {u} that {n} has.")]),
            },
            Source::UnitsPlus(a, c) => match self.kind {
                Kind::Minutes => (
                    vec![format!("{n} walks {a} hours and {c} minutes.")],
                    vec![format!("The walk of {n} takes {a} hours and {c} minutes.")],
                ),
                _ => (
                    vec![format!("{n} has {a} dozen {u} and {c} more {u}.")],
                    vec![format!("There are {a} dozen {u} and {c} other {u} that {n} has.")],
                ),
            },
            Source::More(m, x) => {
                let m = cast[m];
                (
                    vec![format!("{n} {v} {x} more {u} than {m}."), format!("{n} {v} {x} more {u} than {m} does.")],
                    vec![format!("Next to {m}, {n} {v} {x} extra {u}."), format!("{n} {v} as many {u} as {m} and {x} on top.")],
                )
            }
            Source::Fewer(m, x) => {
                let m = cast[m];
                (
                    vec![
                        format!("{n} {v} {x} fewer {u} than {m}."),
                        format!("{n} {v} {x} fewer {u} than {m} does."),
                        format!("{m} {v} {x} more {u} than {n}."),
                    ],
                    vec![format!("If {n} had {x} extra {u}, {n} would match {m}.")],
                )
            }
            Source::Times(m, k) => {
                let (m, t) = (cast[m], times_word(k));
                (
                    vec![format!("{n} {v} {t} as many {u} as {m}."), format!("{n} {v} {t} as many {u} as {m} does.")],
                    vec![format!("The {u} of {n} are {k} times those of {m}.")],
                )
            }
            Source::Part(m, k) => {
                let (m, p) = (cast[m], part_word(k));
                (
                    vec![
                        format!("{n} {v} {p} as many {u} as {m}."),
                        format!("{n} {v} {p} as many {u} as {m} does."),
                        format!("{m} {v} {} as many {u} as {n}.", times_word(k)),
                    ],
                    vec![format!("The {u} of {n} are {p} of those of {m}.")],
                )
            }
            Source::Sum(a, b) => {
                let (a, b) = (cast[a], cast[b]);
                (
                    vec![format!("{n} {v} as many {u} as {a} and {b} together.")],
                    vec![format!("What {a} and {b} {base} adds up to the {u} that {n} {v}.")],
                )
            }
        };
        pick(rng, self.unseen, &seen, &held_out)
    }

    /// Words around the equation for a person's whole quantity.
    pub fn person_line(&self, name: &str) -> (String, String) {
        let (u, v) = (self.unit, self.verb());
        if self.unseen { (format!("The number of {u} for {name} is "), ".".into()) } else { (format!("{name} {v} "), format!(" {u}.")) }
    }

    /// Words around the equation for a person's groups.
    pub fn group_line(&self, name: &str) -> (String, String) {
        let (u, v, g) = (self.unit, self.verb(), self.group_noun());
        match (self.kind, self.unseen) {
            (Kind::Things, false) => (format!("The {g} of {name} hold "), format!(" {u}.")),
            (Kind::Money, false) => (format!("The work of {name} pays "), format!(" {u}.")),
            (_, false) => (format!("In these days {name} {v} "), format!(" {u}.")),
            (Kind::Things, true) => (format!("In the {g} of {name} are "), format!(" {u}.")),
            (Kind::Money, true) => (format!("For the work, {name} gets "), format!(" {u}.")),
            (_, true) => (format!("For {name}, the days total "), format!(" {u}.")),
        }
    }

    /// Words around the equation for a person's dozens or hours.
    pub fn larger_line(&self, name: &str) -> (String, String) {
        let (u, l) = (self.unit, self.larger_noun());
        if self.unseen {
            (format!("For {name}, the {l} total "), format!(" {u}."))
        } else {
            (format!("The {l} of {name} are "), format!(" {u}."))
        }
    }

    /// Words around the equation for a total of named people; of all of them where `all`.
    pub fn total_line(&self, names: &[&str], all: bool) -> (String, String) {
        let (u, base) = (self.unit, self.base());
        match (all, self.unseen, self.in_total) {
            (false, false, _) => (format!("{} {base} ", list(names)), format!(" {u}.")),
            (false, true, _) => (format!("The sum for {} is ", list(names)), format!(" {u}.")),
            (true, true, _) => ("The sum is ".into(), format!(" {u}.")),
            (true, false, true) => (format!("In total they {base} "), format!(" {u}.")),
            (true, false, false) => (format!("Together they {base} "), format!(" {u}.")),
        }
    }

    /// The question for a total.
    pub fn total_question(&self, names: &[&str]) -> String {
        let (u, base, who) = (self.unit, self.base(), list(names));
        if self.unseen {
            format!("Adding up what {who} {base}, what is the number of {u}?")
        } else if self.in_total {
            format!("How many {u} do {who} {base} in total?")
        } else {
            format!("How many {u} do {who} {base} together?")
        }
    }

    /// The sentence that joins the quantities of several people before more happens.
    pub fn join(&self, names: &[&str]) -> String {
        let (u, who) = (self.unit, list(names));
        match (self.unseen, self.kind, self.in_total) {
            (true, _, _) => format!("The {u} of {who} are counted as one."),
            (false, Kind::Things, false) => format!("{who} put their {u} together."),
            (false, Kind::Money, false) => format!("{who} put their dollars together."),
            (false, _, false) => format!("{who} count their {u} together."),
            (false, _, true) => format!("{who} count their {u} in total."),
        }
    }

    /// The question for one person's quantity.
    pub fn single_question(&self, name: &str) -> String {
        let (u, base) = (self.unit, self.base());
        if self.unseen {
            format!("What is the number of {u} that {name} {} ?", self.verb()).replace(" ?", "?")
        } else {
            format!("How many {u} does {name} {base}?")
        }
    }

    /// The question for a difference.
    pub fn difference_question(&self, more: &str, less: &str) -> String {
        let (u, base) = (self.unit, self.base());
        if self.unseen {
            format!("By how many {u} is {more} ahead of {less}?")
        } else {
            format!("How many more {u} does {more} {base} than {less}?")
        }
    }

    /// Words around the equation for a difference.
    pub fn difference_line(&self, more: &str, less: &str) -> (String, String) {
        let (u, v) = (self.unit, self.verb());
        if self.unseen {
            (format!("From {more} to {less} the difference is "), format!(" {u}."))
        } else {
            (format!("{more} {v} "), format!(" more {u} than {less}."))
        }
    }
}

/// What is asked of a quantity after the facts.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    Left,
    Missing,
    Share,
    /// Minutes that all the pages take.
    Reading,
    /// How many of something they fill, get or buy.
    Action(&'static str),
}

impl Asked {
    /// The question about `counted` things of one person, or of them all.
    pub fn question(self, counted: &str, name: Option<&str>, unseen: bool) -> String {
        let (does, who, whom) = name.map_or(("do", "they", "them"), |n| ("does", n, n));
        match (self, unseen) {
            (Asked::Left, false) => format!("How many {counted} {does} {who} have left?"),
            (Asked::Missing, false) => format!("How many more {counted} {does} {who} need?"),
            (Asked::Share, false) => format!("How many {counted} does each child get?"),
            (Asked::Reading, false) => format!("How many {counted} do all the pages take?"),
            (Asked::Action(verb), false) => format!("How many {counted} {does} {who} {verb}?"),
            (Asked::Left, true) => format!("What is the number of {counted} that remain for {whom}?"),
            (Asked::Missing, true) => format!("What is the number of {counted} still missing for {whom}?"),
            (Asked::Share, true) => format!("What is the number of {counted} for each child?"),
            (Asked::Reading, true) => format!("What is the number of {counted} for all the pages?"),
            (Asked::Action(verb), true) => format!("What is the number of {counted} that {who} can {verb}?"),
        }
    }
}

/// `Mia`, `Mia and Tom`, `Mia, Tom and Ann`.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `half`, `a third`, … of something.
pub(super) fn part_of(k: i64) -> String {
    format!("{} of", part_word(k))
}
