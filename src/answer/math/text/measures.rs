//! Units of measure by name.

/// Length, mass, time, money, information: the powers in which they stand in a unit.
pub(in crate::answer::math) type Dimensions = [i8; 5];

pub(in crate::answer::math) const LENGTH: Dimensions = [1, 0, 0, 0, 0];
pub(in crate::answer::math) const MASS: Dimensions = [0, 1, 0, 0, 0];
pub(in crate::answer::math) const TIME: Dimensions = [0, 0, 1, 0, 0];
pub(in crate::answer::math) const MONEY: Dimensions = [0, 0, 0, 1, 0];
pub(in crate::answer::math) const DATA: Dimensions = [0, 0, 0, 0, 1];
pub(in crate::answer::math) const AREA: Dimensions = [2, 0, 0, 0, 0];
pub(in crate::answer::math) const VOLUME: Dimensions = [3, 0, 0, 0, 0];
pub(in crate::answer::math) const SPEED: Dimensions = [1, 0, -1, 0, 0];

/// The unit of a word in lower case.
pub(in crate::answer::math) fn known(word: &str) -> Option<(Dimensions, f64)> {
    let found = |word: &str| -> Option<(Dimensions, f64)> {
        Some(match word {
            "mm" | "millimeter" | "millimetre" => (LENGTH, 1e-3),
            "cm" | "centimeter" | "centimetre" => (LENGTH, 1e-2),
            "dm" | "decimeter" | "decimetre" => (LENGTH, 1e-1),
            "meter" | "metre" => (LENGTH, 1.0),
            "km" | "kilometer" | "kilometre" => (LENGTH, 1e3),
            "inch" | "inche" | "in" => (LENGTH, 0.0254),
            "foot" | "feet" | "ft" => (LENGTH, 0.3048),
            "yard" | "yd" => (LENGTH, 0.9144),
            "mile" | "mi" => (LENGTH, 1609.344),
            "mg" | "milligram" => (MASS, 1e-6),
            "gram" | "gm" => (MASS, 1e-3),
            "kg" | "kilogram" | "kilo" => (MASS, 1.0),
            "tonne" => (MASS, 1e3),
            "ounce" | "oz" => (MASS, 0.028_349_523_125),
            "pound" | "lb" => (MASS, 0.453_592_37),
            "millisecond" => (TIME, 1e-3),
            "second" | "sec" => (TIME, 1.0),
            "minute" => (TIME, 60.0),
            "hour" | "hr" => (TIME, 3600.0),
            "day" => (TIME, 86_400.0),
            "week" | "wk" => (TIME, 604_800.0),
            "dollar" | "usd" | "buck" => (MONEY, 1.0),
            "cent" | "¢" => (MONEY, 0.01),
            "acre" => (AREA, 4_046.856_422_4),
            "hectare" => (AREA, 1e4),
            "liter" | "litre" => (VOLUME, 1e-3),
            "ml" | "milliliter" | "millilitre" | "cc" => (VOLUME, 1e-6),
            "gallon" => (VOLUME, 3.785_411_784e-3),
            "quart" => (VOLUME, 9.463_529_46e-4),
            "pint" => (VOLUME, 4.731_764_73e-4),
            "mph" => (SPEED, 0.447_04),
            "kph" | "kmh" => (SPEED, 1.0 / 3.6),
            "byte" => (DATA, 8.0),
            "bit" => (DATA, 1.0),
            _ => return None,
        })
    };
    found(word).or_else(|| word.strip_suffix('s').and_then(found))
}

/// Units that are one letter, where it is surely no variable.
pub(in crate::answer::math) fn letter(letter: &str) -> Option<(Dimensions, f64)> {
    Some(match letter {
        "m" => (LENGTH, 1.0),
        "g" => (MASS, 1e-3),
        "s" => (TIME, 1.0),
        "h" => (TIME, 3600.0),
        "L" | "l" => (VOLUME, 1e-3),
        _ => return None,
    })
}

/// Whether one letter in words behind a number is a unit.
pub(in crate::answer::math) fn is_letter(run: &str) -> bool {
    matches!(run, "m" | "g" | "s" | "h" | "L" | "l" | "N" | "J" | "W" | "V" | "A" | "K" | "F" | "C")
}

/// Whether a word in lower case is a unit, or stands in one.
pub(in crate::answer::math) fn is_known(word: &str) -> bool {
    known(word).is_some()
        || matches!(
            word,
            "percent"
                | "pct"
                | "degree"
                | "degrees"
                | "deg"
                | "square"
                | "cubic"
                | "sq"
                | "cu"
                | "per"
                | "units"
                | "unit"
                | "min"
                | "mins"
                | "month"
                | "months"
                | "year"
                | "years"
                | "yr"
                | "yrs"
                | "radian"
                | "radians"
                | "rad"
                | "euro"
                | "euros"
                | "yen"
                | "rupees"
                | "people"
                | "times"
                | "ways"
        )
}
