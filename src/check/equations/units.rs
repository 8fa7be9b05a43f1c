//! Units that are commonly turned into each other, so that `3 * 60 minutes = 3 hours` is no false equation.

/// Kinds of quantity: each unit with its size, in the smallest of the kind, as people reckon it (a month has 28, 30 or 31 days).
const FAMILIES: [&[(&str, &[f64])]; 6] = [
    &[
        ("second", &[1.0]),
        ("minute", &[60.0]),
        ("hour", &[3600.0]),
        ("day", &[86_400.0]),
        ("week", &[604_800.0, 432_000.0]),
        ("fortnight", &[1_209_600.0]),
        ("month", &[2_419_200.0, 2_592_000.0, 2_678_400.0]),
        ("quarter", &[7_776_000.0]),
        ("year", &[31_536_000.0, 31_622_400.0, 31_449_600.0, 31_104_000.0]),
        ("decade", &[315_360_000.0]),
        ("century", &[3_153_600_000.0]),
    ],
    &[
        ("cent", &[1.0]),
        ("penny", &[1.0]),
        ("nickel", &[5.0]),
        ("dime", &[10.0]),
        ("quarter", &[25.0]),
        ("dollar", &[100.0]),
        ("pound", &[100.0]),
        ("euro", &[100.0]),
    ],
    &[
        ("millimeter", &[1.0, 1.0]),
        ("centimeter", &[10.0, 100.0]),
        ("inch", &[25.4, 645.16]),
        ("foot", &[304.8, 92_903.04]),
        ("yard", &[914.4, 836_127.36]),
        ("meter", &[1000.0, 1e6]),
        ("kilometer", &[1e6, 1e12]),
        ("mile", &[1_609_344.0]),
    ],
    &[
        ("milligram", &[1.0]),
        ("gram", &[1000.0]),
        ("ounce", &[28_349.5]),
        ("pound", &[453_592.0]),
        ("kilogram", &[1e6]),
        ("ton", &[907_184_000.0, 1e9]),
    ],
    &[
        ("milliliter", &[1.0]),
        ("teaspoon", &[5.0]),
        ("tablespoon", &[15.0]),
        ("ounce", &[30.0]),
        ("cup", &[240.0]),
        ("pint", &[480.0]),
        ("quart", &[960.0]),
        ("liter", &[1000.0]),
        ("gallon", &[3840.0]),
    ],
    &[("piece", &[1.0]), ("item", &[1.0]), ("egg", &[1.0]), ("pair", &[2.0]), ("dozen", &[12.0]), ("gross", &[144.0])],
];

const SHORT: [(&str, &str); 35] = [
    ("s", "second"),
    ("sec", "second"),
    ("min", "minute"),
    ("h", "hour"),
    ("hr", "hour"),
    ("wk", "week"),
    ("mo", "month"),
    ("yr", "year"),
    ("pennies", "penny"),
    ("usd", "dollar"),
    ("centuries", "century"),
    ("in", "inch"),
    ("inches", "inch"),
    ("ft", "foot"),
    ("feet", "foot"),
    ("yd", "yard"),
    ("mi", "mile"),
    ("mm", "millimeter"),
    ("cm", "centimeter"),
    ("m", "meter"),
    ("km", "kilometer"),
    ("metre", "meter"),
    ("kilometre", "kilometer"),
    ("oz", "ounce"),
    ("lb", "pound"),
    ("mg", "milligram"),
    ("g", "gram"),
    ("kg", "kilogram"),
    ("tsp", "teaspoon"),
    ("tbsp", "tablespoon"),
    ("ml", "milliliter"),
    ("l", "liter"),
    ("litre", "liter"),
    ("centimetre", "centimeter"),
    ("dozens", "dozen"),
];

/// The units that occur in a part of an equation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Units(u64);

impl Units {
    /// The unit that a word names, if it is one of those that are converted.
    pub(super) fn named(word: &str) -> Option<Self> {
        if word.len() > 12 {
            return None;
        }
        let word = word.to_ascii_lowercase();
        Self::find(&word).or_else(|| Self::find(word.strip_suffix('s')?))
    }

    fn find(word: &str) -> Option<Self> {
        let word = SHORT.iter().find(|(short, _)| *short == word).map_or(word, |(_, long)| long);
        let names = FAMILIES.iter().flat_map(|units| units.iter());
        let set = names.enumerate().filter(|(_, (name, _))| *name == word).fold(0u64, |set, (bit, _)| set | 1 << bit);
        (set != 0).then_some(Self(set))
    }

    /// What a sign of money in front of a number means.
    pub(super) fn money() -> Self {
        Self::find("dollar").unwrap_or_default()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether two units of one kind of quantity are among them.
    pub(super) fn mixed(self) -> bool {
        self.families().any(|sizes| sizes.count() > 1)
    }

    /// Whether the factor between two units of one kind that are among them turns one value into the other.
    pub(super) fn convert(self, a: f64, b: f64) -> bool {
        let ratio = (a / b).abs().max((b / a).abs());
        let near = |factor: f64| (ratio / factor - 1.0).abs() < 0.005;
        if !ratio.is_finite() || near(1.0) {
            return false;
        }
        // an amount in cents is often given as one in dollars without a sign
        let cents = Self::find("cent").is_some_and(|c| self.0 & c.0 != 0) && near(100.0);
        cents
            || self.families().any(|sizes| {
                let sizes: Vec<&[f64]> = sizes.collect();
                let pairs = sizes.iter().enumerate().flat_map(|(i, a)| sizes[..i].iter().map(move |b| (a, b)));
                pairs.flat_map(|(a, b)| a.iter().flat_map(move |x| b.iter().map(move |y| x / y))).any(near)
            })
    }

    /// Per kind of quantity the sizes of those of its units that are among them.
    fn families(self) -> impl Iterator<Item = impl Iterator<Item = &'static [f64]>> {
        let mut start = 0;
        FAMILIES.iter().map(move |units| {
            let first = start;
            start += units.len();
            units.iter().enumerate().filter(move |(i, _)| self.0 & (1 << (first + i)) != 0).map(|(_, (_, sizes))| *sizes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(words: &[&str]) -> Units {
        words.iter().fold(Units::default(), |sum, w| sum.with(Units::named(w).unwrap_or_default()))
    }

    #[test]
    fn words_short_forms_and_plurals_name_units() {
        assert_eq!(Units::named("Minutes"), Units::named("min"));
        assert_eq!(Units::named("feet"), Units::named("foot"));
        assert_eq!(Units::named("apples"), None);
        assert!(FAMILIES.iter().map(|units| units.len()).sum::<usize>() <= 64);
    }

    #[test]
    fn conversions_need_two_units_of_one_kind_and_their_factor() {
        assert!(units(&["hours", "minutes"]).convert(180.0, 3.0));
        assert!(units(&["year", "months"]).convert(2.0, 24.0) && units(&["year", "weeks"]).convert(1.0, 52.0));
        assert!(!units(&["hours", "apples"]).convert(180.0, 3.0));
        assert!(!units(&["hours", "minutes"]).convert(180.0, 4.0));
        assert!(!units(&["year"]).convert(74.0, 73.0) && !units(&["hours", "week"]).convert(7.0, 5.0));
        assert!(!units(&["dimes", "cents"]).convert(20.0, 10.0));
        assert!(units(&["cents"]).with(Units::money()).convert(2.0, 200.0));
        assert!(units(&["hours", "minutes"]).mixed() && !units(&["hours", "dollars"]).mixed());
    }
}
