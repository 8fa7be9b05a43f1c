use super::*;
use crate::util::work;

/// What is said of a text: `+` for each equation that holds, `-` for each that does not.
fn said(text: &str) -> String {
    equations(text).iter().map(|e| if e.holds { '+' } else { '-' }).collect()
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, want)| said(text) != *want)
        .map(|(text, want)| format!("{text:?}: {:?}, not {want:?}: {:?}", said(text), equations(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn signs_in_every_spelling() {
    check(&[
        ("3 * 4 = 12", "+"),
        ("3 * 4 = 13", "-"),
        ("3 x 4 = 12, 3x4=13", "+-"),
        ("3×4 = 12; 3 × 4 = 11", "+-"),
        (r"3 \times 4 = 12 \\ 3 \cdot 4 = 13", "+-"),
        (r"12 ÷ 4 = 3, 12 \div 4 = 2, 12/4 = 3, $48/2 = $24", "+-++"),
        (r"12 − 4 = 8, 12 – 4 = 9", "+-"),
        ("2^10 = 1024, 2**3 = 8, 5² = 25, 5^2 = 24", "+++-"),
        (r"\frac{40}{5} = 3, \dfrac{40}{5} = 8, \frac12 + \frac{1}2 = 1, \frac{\frac{1}{2}}{2} = \frac14", "-+++"),
        (r"\left( 3 + 4 \right) \times 2 = 14, [3 + 4] * 2 = 15, 2(3+4) = 14, (2)(3) = 6, 2\left(3+4\right)=15", "+-++-"),
        (r"\sqrt{16} + 1 = 5, \sqrt[3]{27} = 3, √9 = 4, 5! = 120", "++-+"),
        ("5 times 4 = 20, 5 plus 4 = 8, 20 divided by 4 = 5, 6 minus 2 = 3", "+-+-"),
        ("-5 + 3 = -2, 3 + -4 = -1, 3 - (-4) = 7, 2 - 5 = 3", "+++-"),
        ("10 - 3 - 2 = 5, 2 + 3 * 4 = 14, 2 + 3 * 4 = 20, 100 / 5 / 2 = 10, -2^2 = -4", "++-++"),
    ]);
}

#[test]
fn numbers_in_every_spelling() {
    check(&[
        (r"1,200 + 300 = 1,500; 1{,}200 + 300 = 1{,}400; 1,234,567 + 1 = 1,234,568", "+-+"),
        ("$3.50 + $2 = $5.50, \\$3.50 + \\$2 = \\$5.60, .5 + .5 = 1", "+-+"),
        ("1 1/2 + 1/2 = 2, 2 1/2 * 2 = 5, 2 1/2 * 2 = 6", "++-"),
        (r"2\frac{1}{2} \times 2 = 5, 2 \frac{1}{3} = \frac{7}{3}", "++"),
        ("1.5 million + 500 thousand = 2 million, 2 * 3 million = 6,000,000, 2 million + 1 million = 4 million", "++-"),
        ("1/2 = 0.5, 1/4 = 0.2, 1/2 = 2/4, 3/8 = 1/3", "+-+-"),
        (r"2 \times 10^{-3} = 0.002, 2 * 10^3 = 200", "+-"),
        ("99999999999999999999999999999999999999 + 1 = 2, 1,2,3 + 4 = 7, 1.2.3 + 4 = 5", ""),
    ]);
}

#[test]
fn text_around_arithmetic() {
    check(&[
        ("So he has 3 + 4 = 8 apples left.", "-"),
        ("5 apples * $2/apple = $10", "+"),
        ("5 apples * $2 per apple = $11", "-"),
        (r"\[ 4 \text{ feet} \times 12 \text{ inches/foot} = 48 \text{ inches} \]", "+"),
        (r"\( 13 \text{ sets} \times \$15/\text{set} = \$190 \)", "-"),
        ("Boxes = 2 (to mom) + 2 (to sister) = 4, then 10 (initially infected) * 6 (per person) = 50", "+-"),
        ("He ate 5 (4 + 1) + 2 = 7 cookies.", "+"),
        ("- 3 + 4 = 7\n* 3 + 4 = 8\n1. 3 + 4 = 7\n2) 3 + 4 = 8", "+-+-"),
        ("**Total:** 3 + 4 = **7**; *Sum* = 3 + 4 = 8", "+-"),
        ("48/2 = <<48/2=24>>24 clips, 48+24 = <<48+24=72>>71", "+++-"),
        (r"3 + 4 = \boxed{7}, $40 + 60 + 50 = 150$, $$3+4=8$$", "++-"),
        ("the 10-foot board + 3 = 13", "+"),
        ("Step 2: 3 + 4 = 8 (see 3:15 pm)", "-"),
        (r"2 cm * 3 cm = 6 cm^2, 2 \text{ cm} \times 3 \text{ cm} = 7 \text{ cm}^2", "+-"),
        ("He does 15 * 2 = 31 more push-ups than his brother", "-"),
    ]);
}

#[test]
fn chains_and_lines() {
    check(&[
        ("a = 3 + 4 = 7 = 6 + 1", "++"),
        ("9 - 3 - 2 = 5 = 4", "--"),
        ("7 * 70 - 40 = 470 - 40 = 430", "-+"),
        (r"\[ \text{Total} = 52 + 24 \] \[ \text{Total} = 78 \]", "-"),
        (r"\[ S = 165 \times \frac{6}{11} \] \[ S = 9 \times 6 \] \[ S = 54 \]", "-+"),
        ("Money left = 145 cents - 55 cents\nMoney left = 90 cents", "+"),
        ("x &= 50 - 15 \\\\\n&= 36", "-"),
        ("3 + 4\n= 8", ""),
        ("Total =\n3 + 4 = 8", "-"),
        ("3 + 4 = 7 so he needs 10 - 7 = 4", "+-"),
        ("E = 2 * 3 * 4. E = 2 * 3 = 6", "+"),
        (r"x = \frac{8}{3} \] \[ x = -8", ""),
    ]);
}

#[test]
fn percentages() {
    check(&[
        ("20% of 50 = 10, 20% of 50 = 12, 20% of $24 = 0.20 × $24 = $4.80", "+-++"),
        ("20/100 * 50 = 10, 50 * 20% = 10, 50 * 20% = 20", "++-"),
        ("0.2 = 20%, 1/5 = 20%, 1/5 = 30%", "++-"),
        (r"(30/60)*100 = 50%, 30/60 * 100\% = 50\%, 30/60 = 50%, 30/60 = 40%", "+++-"),
        ("100% - 20% = 80%, 100% - 20% = 70%, 100 - 20 = 80%", "+-+"),
        ("$50 + 20% = $60, $50 - 20% = $40, $50 + 20% = $70", "++-"),
        ("100% - 20% = 70% of the price", "-"),
        ("1/4 of the oranges = (1/4) * 240 = 60, half of 20 * 3 = 30, 60 = 1/4 of the oranges", "+"),
    ]);
}

#[test]
fn rounding() {
    check(&[
        ("10 / 3 = 3.33, 10 / 3 = 3.3, 20 / 3 = 6.66, 20/3 = 6.67, 20 / 3 = 6.7, 10 / 3 = 3.4", "+++++-"),
        ("1/4 = 0.3, 1/4 = 0.2, 54 / 8 = 7 packs, 20 / 3 = 6.6, 26 / 3 = 8, 40 / 5 = 7", "+---"),
        ("8 / 3 = 2.67, 2.67 * 3 = 8, 2.67 * 3 = 9, 7.69 * 13 = 100, 0.08 * 450 = 37", "++--"),
        ("180 / 110 = 1.636... bags, 180 / 110 = 2 (round up), 180 / 110 = 1.836...", "++-"),
        ("17 / 3 = 5 (rounded down), 17 / 3 = 7 (rounded up)", "+-"),
        ("50 / 3 = 16 stickers, with 2 remaining", "+"),
        ("There are 130 - 39 = 90 remaining", "-"),
        ("1234 * 2 ≈ 2,500, 100 / 7 ≈ 14, 100 / 7 ≈ 20", "++-"),
        (r"\frac{22}{7} \approx 3.14, 2 \times 3.14 \times 5 = 31.4", "++"),
        ("4.20 + 9.45 + 1.35 = 14.999999999999998", "+"),
        ("$20 - $13.00 = $6.00", "-"),
    ]);
}

#[test]
fn units_that_change_are_no_false_equations() {
    check(&[
        ("2 hours = 120 minutes, 1 foot = 12 inches, $5 = 500 cents, 1 dozen = 12", "+"),
        ("2 * 60 minutes = 2 hours, 8 * 25 cents = $2, 3 * 1 yard = 9 feet, 5 * 12 months = 5 years", ""),
        ("2 hours + 30 minutes = 150 minutes, 1/3 tank = 8 gallons", ""),
        ("3 hours * 60 minutes/hour = 190 minutes, 4 * 25 cents = 90 cents, 79 - 5 = 73 years", "---"),
        ("45 cents x 20 = 9.00, 2 * 5 kHz = 0.01 MHz", ""),
    ]);
}

#[test]
fn what_is_no_closed_arithmetic_is_passed_over() {
    check(&[
        ("x = 5, 2x + 3 = 8, x + 3 + 4 = 7, 3x = 12, 5000 = x/2", ""),
        ("x = 3 + 4 = 7, x = 12/3 = 5", "+-"),
        (r"\[ \frac{1}{3} (x - 30) - 1 = 5 \] \[ 10 - 1.5x = 4 \] \[ x - 30 = 18 \]", ""),
        (r"\frac{1}{2} (10 - 1.5x) = 2, \frac12bh = \frac12(9)(4), CD = AC\sqrt{2} = \sqrt{3}\cdot\sqrt{2}", ""),
        ("Day 1 = 50, Step 2 = 3 * 4 = 12, a_1 = 3 + 4 = 8, 5_2 + 1 = 4", "+-"),
        ("f(3) = 7, gcd(12, 18) = 6, C(5, 2) = 10, max(3, 4) = 4, f(3) + 1 = 9", ""),
        ("the ratio 3:1 = 6:2, at 8:00 + 2 = 10:00", ""),
        ("1 + 2 + ... + 10 = 55, |3 - 5| = 2, 3 < 4 + 5, 2 + 2 != 5, 2 + 2 >= 5, 3 => 4", ""),
        ("Total - 5 + 3 = 9, twice 3 + 4 = 14, 5 more than 3 + 4 = 12, the average of 3 + 5 = 4", ""),
        (r"\frac{1}{3} = 0.\overline{3}, 17 = 2 \pmod 5, 5^{-1} \equiv 3", ""),
        (r"3^25^2 = 15^2, 6(13\text{ in.}) = 78", ""),
        ("30 + 15 + \\( x \\) + 105 = 500, Total = A's 3 + B's 4 = 9", ""),
        ("28 / 1/5 = 140, weeks 1-2 = 70", ""),
        ("= = = 3 +", ""),
    ]);
}

#[test]
fn an_equation_knows_where_it_stands_and_what_its_sides_come_to() {
    let text = "é: so 3 + 4 apples = 8 apples.";
    let found = equations(text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span.of(text), "3 + 4 apples = 8");
    assert_eq!((found[0].left, found[0].right), (7.0, 8.0));
    assert_eq!(equations("0.1 + 0.2 = 0.4")[0].left, 0.3, "exact, not as floating point has it");
}

#[test]
fn steps_have_the_number_of_false_equations() {
    let text = "1+1=2. None here. 1+1=3, 2+2=5, 3+3=6";
    let steps = [Span::new(0, 6), Span::new(7, 17), Span::new(18, text.len()), Span::new(90, 99)];
    assert_eq!(step_values(text, steps), [Some(0.0), None, Some(-2.0), None]);
}

/// A generator of texts from pieces, by a linear congruence.
fn noise(seed: u64, pieces: &[&str], length: usize) -> String {
    let mut state = seed;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
    }
    text
}

const PIECES: [&str; 72] = [
    "1",
    "2",
    "37",
    "9999999999",
    "1,200",
    "0.33",
    ".5",
    "1/2",
    "+",
    "-",
    " - ",
    "*",
    "×",
    "/",
    "÷",
    "^",
    "**",
    "=",
    " = ",
    "≈",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<<",
    ">>",
    "\\frac",
    "\\frac{",
    "\\sqrt",
    "\\sqrt[3]",
    "\\text{",
    "\\boxed{",
    "\\left(",
    "\\right)",
    "\\[",
    "\\]",
    "\\\\",
    "\\",
    "$",
    "$$",
    "%",
    "\\%",
    "!",
    ".",
    ", ",
    ": ",
    "\n",
    " ",
    " of ",
    " apples",
    " hours",
    " minutes",
    " x ",
    "x",
    " times ",
    " and ",
    " is ",
    " than ",
    "k",
    " million",
    "²",
    "é",
    "…",
    "...",
    "_",
    "|",
    "0.",
    "\u{2212}",
    "'",
    "\0",
];

#[test]
fn any_text_survives() {
    for seed in 0..4000 {
        let text = noise(seed, &PIECES, 40 + seed as usize % 200);
        for e in equations(&text) {
            assert!(text.get(e.span.start..e.span.end).is_some_and(|t| t.contains(['=', '≈']) || t.contains('\\')), "{text:?} {e:?}");
            assert!(e.left.is_finite() && e.right.is_finite(), "{text:?} {e:?}");
        }
    }
}

#[test]
fn work_grows_no_faster_than_the_text() {
    let work = |text: &str| work::done(|| drop(equations(text))) as f64 / text.len() as f64;
    let units = [
        "1+1=",
        "1+1=3=",
        "7",
        "(",
        ")",
        "1(",
        "1 (1 + a ",
        "((1)",
        "-",
        "√",
        "\\frac{",
        "\\frac12=",
        "1/3+1/7=",
        "50%+20%=61%=",
        "1 (3) 20% of 5=7=",
        "[4=",
        "(=",
        "1=(1=(",
        "<<1+1=",
        "9!=",
        "3^",
        "\\text{",
        "1 1/2 = ",
        "round 7/2=3 ",
        "x=1+1. ",
        "1,111,",
        "a-",
        "b'",
        "1 hour + 3 minutes = 4 hours ",
    ];
    let (short, long) = (4_000, 64_000);
    for unit in units {
        let (a, b) = (work(&unit.repeat(short / unit.len())), work(&unit.repeat(long / unit.len())));
        assert!(b <= 1.2 * a + 1.0 && b < 80.0, "{unit:?}: {a} and {b} a byte");
    }
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("1(1+", "1", ")"),
        ("1 (1 a ", "x", ")"),
        ("(1=", "1", ")"),
        ("{", "1", "}"),
        ("\\frac{1}{", "1", "}"),
        ("1 (", "x", " 2)"),
    ] {
        let nest = |depth: usize| format!("{}{middle}{} = 5", open.repeat(depth), close.repeat(depth));
        let (a, b) = (work(&nest(1_000)), work(&nest(16_000)));
        assert!(b <= 1.2 * a + 1.0 && b < 80.0, "{open:?}: {a} and {b} a byte");
    }
    for seed in 0..8 {
        let (a, b) = (work(&noise(seed, &PIECES, short)), work(&noise(seed, &PIECES, long)));
        assert!(b < 80.0, "{seed}: {a} and {b} a byte");
    }
}
