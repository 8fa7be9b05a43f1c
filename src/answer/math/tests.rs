//! Pairs of answers by kind: equal ones, and unequal ones that look alike.

use super::*;

/// Checks pairs both ways.
fn check(pairs: &[(&str, &str)], same: bool) {
    let mut wrong = Vec::new();
    for (a, b) in pairs {
        let (x, y) = (Formula::of(a), Formula::of(b));
        if x.same(&y) != same || y.same(&x) != same {
            wrong.push(format!("{a}  |  {b}  |  {:?}  |  {:?}", x.readings.first(), y.readings.first()));
        }
    }
    assert!(wrong.is_empty(), "not {same}:\n{}", wrong.join("\n"));
}

#[test]
fn numbers_and_fractions() {
    check(
        &[
            ("\\frac{1}{2}", "0.5"),
            ("\\dfrac12", "\\frac{1}{2}"),
            ("1/2", "\\tfrac{1}{2}"),
            ("1,234", "1234"),
            ("50\\%", "50"),
            ("\\$18.90", "18.9"),
            ("2\\frac{1}{3}", "\\frac{7}{3}"),
            ("2\\frac13", "7/3"),
            ("2 1/3", "7/3"),
            ("2⅓", "7/3"),
            ("-1\\frac{3}{4}", "-1.75"),
            ("7{,}250", "7250"),
            ("7\\,250", "7,250"),
            ("7,\\!250", "7250"),
            ("\\$7{,}250.50", "7250.5"),
            ("7 250 000", "7,250,000"),
            ("0.41\\overline{6}", "\\frac{5}{12}"),
            ("0.\\overline{142857}", "\\frac17"),
            ("0.41(6)", "5/12"),
            ("007", "7"),
            ("6.0", "6"),
            ("2.5\\times10^{4}", "25000"),
            ("2.5e4", "25{,}000"),
            ("2.5 x 10^4", "25000"),
            ("4:6", "2/3"),
            ("3 million", "3{,}000{,}000"),
            ("2.5 \\text{ billion}", "2500000000"),
            ("three dozen", "36"),
            ("twelve and a half", "12.5"),
            ("negative four", "-4"),
            ("two thirds", "\\frac23"),
            ("\\frac{-7}{3}", "-\\frac73"),
            ("2^10", "1024"),
            ("\\mathbf{12}", "12"),
            ("{12}", "12"),
            ("\\textcolor{blue}{12}", "12"),
            ("\\left(12\\right)", "12"),
            ("1{,}200 \\text{ dollars}", "\\$1200"),
            ("−3", "-3"),
            ("３/４", "0.75"),
            ("\\approx 2.72", "2.72"),
            ("about 40", "40"),
        ],
        true,
    );
    check(
        &[
            ("", ""),
            ("1", "2"),
            ("12345678901234567", "12345678901234568"),
            ("1000000000000000000000000000000000000000000001", "1000000000000000000000000000000000000000000002"),
            ("2^{200}+1", "2^{200}"),
            ("\\frac{1}{3}", "0.333"),
            ("\\sqrt2", "1.414"),
            ("-\\frac{1}{2}", "\\frac{1}{2}"),
            ("1 million", "1"),
            ("1 million", "2 million"),
            ("5 thousand dollars", "5"),
            ("2 dozen", "2"),
            ("10 and a half", "10"),
            ("4 3/5", "4"),
            ("4 3/5", "12/5"),
            ("7.250", "7250"),
            ("7{,}25", "725"),
            ("1.5", "15"),
            ("1e3", "1"),
            ("0.1\\overline{6}", "0.16"),
            ("2 3", "6"),
            ("3!", "3"),
            ("1234_5", "1234"),
            ("312_4", "312_5"),
            ("\\frac{1}{100!}", "\\frac{1}{101!}"),
        ],
        false,
    );
}

#[test]
fn units() {
    check(
        &[
            ("90^\\circ", "90"),
            ("90^{\\circ}", "90 degrees"),
            ("90°", "90"),
            ("5\\text{ cm}^2", "5"),
            ("5\\text{ cm}^2", "5 square centimeters"),
            ("5\\mbox{ cm}^{2}", "5\\ \\mathrm{cm^2}"),
            ("40\\;\\mathrm{km/h}", "40 kilometers per hour"),
            ("\\text{12 feet}", "12"),
            ("12\\operatorname{ft}", "12 \\text{ feet}"),
            ("12 ft", "4 yards"),
            ("1.5 hours", "90 minutes"),
            ("12 cookies", "12"),
            ("12 cats", "12 \\text{ cats}"),
            ("\\$30 \\text{ per day}", "30"),
            ("25 percent", "25\\%"),
            ("4^{\\text{th}}", "4"),
            ("\\frac{3}{4} \\text{ of a mile}", "0.75"),
            ("30\\text{ cents}", "\\$0.30"),
            ("USD 30", "30 dollars"),
            ("3\\pi \\text{ square units}", "3\\pi"),
        ],
        true,
    );
    check(
        &[
            ("12 ft", "12 inches"),
            ("2 hours", "2 minutes"),
            ("\\$30", "30 cents"),
            ("12 cookies", "13"),
            ("25\\%", "25 \\text{ cm}"),
            ("5 \\text{ cm}^2", "5 \\text{ cm}^3"),
            ("6x", "6"),
            ("2i", "2"),
            ("6m", "6n"),
        ],
        false,
    );
}

#[test]
fn formulas() {
    check(
        &[
            ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}"),
            ("x^2+2x+1", "(x+1)^2"),
            ("3\\sqrt{2}", "\\sqrt{18}"),
            ("3√2", "\\sqrt{18}"),
            ("5\\sqrt(2)", "\\sqrt{50}"),
            ("\\sqrt[3]{-27}", "-3"),
            ("16^{1/4}", "2"),
            ("\\sqrt[5]{9}", "9^{\\frac15}"),
            ("\\binom{6}{2}", "15"),
            ("{6 \\choose 2}", "15"),
            ("\\cos 2x", "1-2\\sin^2 x"),
            ("\\sin(2x)", "2\\sin x\\cos x"),
            ("\\tan x", "\\frac{\\sin x}{\\cos x}"),
            ("\\sin^{-1} x", "\\arcsin x"),
            ("\\sin 30^\\circ", "\\frac12"),
            ("\\log_3 5", "\\frac{\\ln 5}{\\ln 3}"),
            ("\\ln 8", "3\\ln 2"),
            ("\\exp(2x)", "e^{2x}"),
            ("e^x \\cdot e", "e^{x+1}"),
            ("\\mathrm{e}^3", "e^3"),
            ("\\sqrt{x-50}", "(x-50)^{1/2}"),
            ("\\sqrt{5-x}+\\sqrt{x-5}", "\\sqrt{x-5}+\\sqrt{5-x}"),
            ("\\sqrt{(x-7)(9-x)}", "\\sqrt{-x^2+16x-63}"),
            ("|2x|", "2|x|"),
            ("|x|", "\\sqrt{x^2}"),
            ("|x-y|", "|y-x|"),
            ("\\lfloor 3.7 \\rfloor", "3"),
            ("\\lceil 3.2 \\rceil", "4"),
            ("3^{2n}", "9^n"),
            ("(-1)^{n+1}", "-(-1)^n"),
            ("n!", "n(n-1)!"),
            ("\\binom{n}{2}", "\\frac{n(n-1)}{2}"),
            ("(2+3i)(1-i)", "5+i"),
            ("\\frac{1}{i}", "-i"),
            ("\\sqrt{-9}", "3i"),
            ("4.0-2.0i", "-2i+4"),
            ("\\frac{2x+2}{x+1}", "2"),
            ("a_1+a_2", "a_{2}+a_{1}"),
            ("\\theta/2", "\\frac{θ}{2}"),
            ("2πr", "2\\pi r"),
            ("x²−1", "(x-1)(x+1)"),
            ("\\gcd(12,18)", "6"),
            ("\\max(3, 7)", "7"),
            ("100!/99!", "100"),
            ("2^{1000}\\cdot 2", "2^{1001}"),
            ("x^{1/2}x^{1/2}x", "x^2"),
            ("1-\\frac{1}{\\mathrm{e}}", "\\frac{e-1}{e}"),
            ("10101_2", "10101_{2}"),
            ("312_4", "312_{\\text{four}}"),
            ("(312)_4", "312_4"),
            ("\\overline{AB}", "\\overline{AB}"),
        ],
        true,
    );
    check(
        &[
            ("x+1", "x-1"),
            ("A", "a"),
            ("|x|", "x"),
            ("n^2", "n^3"),
            ("\\sqrt{x-50}", "\\sqrt{x-49}"),
            ("\\sqrt{x-4}", "\\sqrt{4-x}"),
            ("\\sin 2x", "2\\sin x"),
            ("\\sin x", "\\sin y"),
            ("\\sin^2 x", "\\sin x^2"),
            ("\\log 100", "\\ln 100"),
            ("x_1", "x_2"),
            ("x^2", "x2"),
            ("e^2", "2^e"),
            ("\\pi", "3.14159"),
            ("\\binom{6}{2}", "\\binom{6}{3}"),
            ("(a+b)^2", "a^2+b^2"),
            ("2^n", "n^2"),
            ("1+i", "1-i"),
            ("3+2i", "3+2j"),
            ("\\sqrt{x^2+1}", "x+1"),
        ],
        false,
    );
}

#[test]
fn lists_sets_and_tuples() {
    check(
        &[
            ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\pi/2)"),
            ("1,-2", "-2, 1"),
            ("\\{1,2\\}", "\\left\\{2,1\\right\\}"),
            ("\\{1,2\\}", "1,2"),
            ("3 \\text{ and } 5", "5, 3"),
            ("3, 5, and 9", "9, 5, 3"),
            ("3 or 5", "\\{5,3\\}"),
            ("\\{4\\}", "4"),
            ("\\{4, 4\\}", "\\{4\\}"),
            ("x=4 \\text{ or } x=9", "4,9"),
            ("x=4,9", "x=9 \\text{ or } x=4"),
            ("x=4, x=9", "\\{4,9\\}"),
            ("x=4 \\text{ or } x=4", "4"),
            ("x_1=4, x_2=9", "(4,9)"),
            ("a=4, b=9", "b=9, a=4"),
            ("y=9, x=4", "(4,9)"),
            ("(x,y)=(4,9)", "(4,9)"),
            ("\\pm 3", "3,-3"),
            ("x=\\pm3", "-3,3"),
            ("±3", "\\{3,-3\\}"),
            ("2\\pm\\sqrt5", "2-\\sqrt{5},2+\\sqrt{5}"),
            ("\\frac{1\\pm\\sqrt5}{2}", "\\frac{1\\mp\\sqrt5}{2}"),
            ("(\\pm1, 2)", "(1,2),(-1,2)"),
            ("(1,2),(3,4)", "(3,4) \\text{ and } (1,2)"),
            ("(1; 2)", "(1,2)"),
            ("1,200,350", "350, 1, 200"),
            ("1,200,350", "1200350"),
            ("\\{2,050, 3\\}", "\\{3, 2050\\}"),
            ("\\langle 1,2\\rangle", "\\left<1,2\\right>"),
            ("\\begin{cases} x=4 \\\\ y=9 \\end{cases}", "(4,9)"),
            ("\\emptyset", "\\{\\}"),
            ("\\varnothing", "∅"),
            ("\\text{no solution}", "\\emptyset"),
        ],
        true,
    );
    check(
        &[
            ("(1,2)", "[1,2]"),
            ("(1,2)", "(2,1)"),
            ("(1,2)", "1,2"),
            ("(1,2)", "\\{1,2\\}"),
            ("(1,2)", "\\langle 1,2\\rangle"),
            ("1,2", "1,2,3"),
            ("1,2", "1"),
            ("1,2", "2"),
            ("x=1,2", "1"),
            ("1,1,2", "1,3,2"),
            ("\\{1,2,3\\}", "\\{1,2\\}"),
            ("\\pm 3", "3"),
            ("2\\pm\\sqrt5", "2+\\sqrt5"),
            ("x=3, y=2", "(2,3)"),
            ("x=4", "y=4"),
            ("x=4,9", "x=4,8"),
            ("(1,2),(3,4)", "(1,4),(3,2)"),
            ("\\emptyset", "0"),
            ("\\{0\\}", "\\emptyset"),
        ],
        false,
    );
}

#[test]
fn regions() {
    check(
        &[
            ("(-\\infty, 3)", "\\left(-\\infty,3\\right)"),
            ("x \\in [1,2]", "[1,2]"),
            ("[3,\\infty)", "x\\ge3"),
            ("x≥3", "3\\leq x"),
            ("(1,2.5)", "1<x<\\frac52"),
            ("1\\le x<5", "[1,5)"),
            ("5>x\\ge1", "[1,5)"),
            ("k>\\sqrt2", "(\\sqrt2,+\\infty)"),
            ("(1,2)\\cup(3,4)", "(3,4) ∪ (1,2)"),
            ("(-\\infty,4)\\cup(4,\\infty)", "\\mathbb{R}\\setminus\\{4\\}"),
            ("x\\ne4", "(-\\infty,4)\\cup(4,\\infty)"),
            ("x \\neq 1, 4", "\\mathbb R - \\{1,4\\}"),
            ("x<1 \\text{ or } x>4", "(-\\infty,1)\\cup(4,\\infty)"),
            ("x>1 \\text{ and } x\\le4", "(1,4]"),
            ("\\{x \\mid x>4\\}", "(4,\\infty)"),
            ("\\{x \\in \\mathbb{R} : x\\neq4\\}", "x\\neq4"),
            ("\\mathbb{R}", "(-\\infty,\\infty)"),
            ("\\text{all real numbers}", "\\mathbb{R}"),
            ("]1,4]", "(1,4]"),
            ("[1,2]\\cup[2,3]", "[1,3]"),
            ("[1,2)\\cup\\{2\\}", "[1,2]"),
            ("(a,a+1]", "a<x\\le a+1"),
            ("x\\in(-\\infty,1]\\cup[4,\\infty)", "x\\le1 \\text{ or } x\\ge4"),
            ("2x+y\\le4", "4\\ge y+2x"),
            ("x+2y<6", "2x+4y<12"),
        ],
        true,
    );
    check(
        &[
            ("(1,2)\\cup(3,4)", "(1,2)\\cup(3,5)"),
            ("x>3", "x\\ge3"),
            ("x>3", "x<3"),
            ("x>3", "y>3"),
            ("x>3", "3"),
            ("[1,5)", "(1,5]"),
            ("x\\ne4", "4"),
            ("x\\ne4", "\\mathbb R"),
            ("x+2y<6", "2x+4y>12"),
            ("x+2y<6", "x+2y\\le6"),
            ("\\mathbb R", "\\mathbb Z"),
            ("(1,\\infty)", "1"),
        ],
        false,
    );
}

#[test]
fn equations_and_names() {
    check(
        &[
            ("x = 5", "5"),
            ("5 = x", "5"),
            ("AB = 5", "5"),
            ("\\overline{AB}=5", "5"),
            ("\\angle ABC = 5^\\circ", "5"),
            ("m\\angle A = 5", "5"),
            ("|AB|=5", "5"),
            ("[ABC]=5", "5"),
            ("P(X=2)=\\frac16", "\\frac16"),
            ("f(x)=2x-3", "2x-3"),
            ("f^{-1}(x)=2x-3", "2x-3"),
            ("f'(x)=2x", "2x"),
            ("\\frac{dy}{dx}=2x", "2x"),
            ("\\sin A=\\frac35", "0.6"),
            ("\\text{Area}=5", "5"),
            ("\\text{Total cost} = \\$5", "5"),
            ("\\lim_{x\\to0}\\frac{\\sin x}{x}=1", "1"),
            ("m+n=5", "5"),
            ("2+3=5", "5"),
            ("x=\\frac{10}{2}=5", "5"),
            ("x \\approx 3.14", "3.14"),
            ("\\pi\\approx3.14", "3.14"),
            ("\\pi\\approx3.14", "\\pi"),
            ("y=2x+3", "2x+3"),
            ("y=2x+3", "f(x)=2x+3"),
            ("x+y=1", "1 = y+x"),
            ("4x+2y=6", "2x+y=3"),
            ("y=3-2x", "4x+2y-6=0"),
            ("x^2+y^2=9", "y^2 = 9-x^2"),
            ("\\frac{x^2}{4}+\\frac{y^2}{9}=1", "9x^2+4y^2=36"),
            ("x+y=1, x-y=3", "x-y=3, y+x=1"),
        ],
        true,
    );
    check(
        &[
            ("2x=18", "18"),
            ("x^2=4", "4"),
            ("x=4", "x=5"),
            ("x=4", "2x=8+x^2"),
            ("x=2", "y=2"),
            ("AB=5", "CD=5"),
            ("y=2x+3", "y=2x-3"),
            ("y=2x+3", "x=2y+3"),
            ("x+y=1", "x-y=1"),
            ("4x+2y=6", "4x+2y=3"),
            ("x+y=5", "x+2y=5"),
            ("3=4", "4"),
            ("x^2+y^2=9", "x^2+y^2=3"),
            ("x=x^2-2", "x^2-2"),
        ],
        false,
    );
}

#[test]
fn matrices_ratios_times_and_words() {
    check(
        &[
            ("\\begin{pmatrix} 1 \\\\ 1/2 \\end{pmatrix}", "\\begin{pmatrix}1\\\\0.5\\end{pmatrix}"),
            ("\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}", "\\left(\\begin{array}{cc}1&2\\\\3&4\\\\\\end{array}\\right)"),
            ("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "\\left|\\begin{array}{cc}1&2\\\\3&4\\end{array}\\right|"),
            ("2:3:5", "4:6:10"),
            ("7:2", "7/2"),
            ("\\text{Even}", "even"),
            ("\\text{Tuesday.}", "tuesday"),
            ("\\text{March 5}", "March 5"),
            ("5:45 p.m.", "17:45"),
            ("5:45\\text{ PM}", "5:45 pm"),
            ("\\text{(D)}", "D"),
        ],
        true,
    );
    check(
        &[
            ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}"),
            ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}"),
            ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&3\\\\2&4\\end{pmatrix}"),
            ("2:3:5", "3:2:5"),
            ("12:30", "1:30"),
            ("5:45 p.m.", "5:45"),
            ("5:45 p.m.", "5:45 a.m."),
            ("7:00", "7"),
            ("\\text{Even}", "odd"),
            ("\\text{March 5}", "5"),
            ("\\text{March 5}", "\\text{March 6}"),
            ("\\text{Ann}", "\\text{Ann and Bob}"),
        ],
        false,
    );
}

#[test]
fn a_reference_is_met_loosely() {
    let met = |answer: &str, reference: &str| Formula::of(answer).is_reference(&Formula::of(reference), Hints::default());
    for (answer, reference) in [
        ("25\\%", "0.25"),
        ("25\\%", "\\frac14"),
        ("0.25", "25\\%"),
        ("180^\\circ", "\\pi"),
        ("60°", "\\frac{\\pi}{3}"),
        ("1.41421356", "\\sqrt2"),
        ("0.333333", "\\frac13"),
    ] {
        assert!(met(answer, reference), "{answer} {reference}");
    }
    for (answer, reference) in
        [("25\\%", "2.5"), ("25", "0.25"), ("1.414", "\\sqrt2"), ("1.41421350", "\\sqrt2"), ("0.1234567", "0.12345674"), ("180", "\\pi")]
    {
        assert!(!met(answer, reference), "{answer} {reference}");
    }
    let (time, short) = (Formula::of("5:45 p.m."), Formula::of("5:45"));
    let hints = |half| Hints { half, ..Hints::default() };
    assert!(
        short.is_reference(&time, hints(Some(true)))
            && !short.is_reference(&time, hints(Some(false)))
            && !short.is_reference(&time, hints(None))
    );
    let ratio = Hints { ratio: true, ..Hints::default() };
    let (a, b) = (Formula::of("10:15"), Formula::of("2:3"));
    assert!(a.is_reference(&b, ratio) && !a.is_reference(&b, Hints::default()));
}

#[test]
fn any_text_is_survived() {
    let pieces = [
        "\\left",
        "\\frac",
        "{",
        "}",
        "(",
        ")",
        ",",
        "\\text{",
        "^",
        "_",
        "\\{",
        "\\begin{pmatrix}",
        "\\\\",
        "=",
        "1",
        "x",
        "é",
        " ",
        "\\in",
        "!",
        "-",
        "\\sqrt[",
        "]",
        "|",
        "\\pm",
        "\\cup",
        "<",
        ":",
        " and ",
        "million",
        "½",
        "\\sin",
        "%",
        "^\\circ",
        "0.",
        "\\overline",
        "'",
        "\\end{pmatrix}",
        "&",
        "²",
        "$",
    ];
    let mut state = 1_u64;
    let mut text = || {
        (0..8)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                pieces[(state >> 33) as usize % pieces.len()]
            })
            .collect::<String>()
    };
    for long in [
        "=",
        "(",
        "(1,",
        "\\{",
        "\\begin{pmatrix}&",
        "1=(",
        "\\frac",
        "|",
        "x^",
        "\\pm1",
        "-",
        "1 and ",
        "\\sqrt",
        "_",
        "<1",
        "x\\cup",
        "\\{x|",
        "\\{x:x<1,",
    ] {
        for n in [10, 100, 1000, 20_000] {
            let (a, b) = (long.repeat(n), format!("{}1", long.repeat(n)));
            assert!(Formula::of(&a).same(&Formula::of(&a)), "{long}");
            let _ = Formula::of(&a).same(&Formula::of(&b));
        }
    }
    for _ in 0..20_000 {
        let (a, b) = (text(), text());
        let (x, y) = (Formula::of(&a), Formula::of(&b));
        assert_eq!(x.same(&y), y.same(&x), "{a:?} {b:?}");
        assert!(x.plain.is_empty() || x.same(&x), "{a:?}");
    }
}

#[test]
fn work_grows_with_the_length_and_has_an_end() {
    let steps = |a: &str, b: &str| {
        let fuel = Fuel::new();
        let _ = Formula::of(a).compare(&Formula::of(b), &Compare { fuel: &fuel, loosely: true, ratio: false, half: None });
        fuel.taken()
    };
    for part in ["x+", "2x", "(x+1)", "\\sin x+", "\\sqrt{x}+", "x!+", "1=", "x<", "|x|+", "x^2-"] {
        let of = |n: usize| steps(&format!("{}1", part.repeat(n)), &format!("{}2", part.repeat(n)));
        let (short, long) = (of(4), of(40));
        assert!(long <= 12 * short + 100, "{part}: {short} steps, {long} for ten times as much");
    }
    for part in
        ["1,", "(1,2),", "x=1,", "[1,2]\\cup", "\\pm x+", "{", "(", "\\frac", "\\begin{pmatrix}1&", "\\binom{x}{900}+", "20000!+", "2^"]
    {
        for n in [10, 100, 300] {
            let (a, b) = (part.repeat(n), format!("{}2", part.repeat(n)));
            // What is longer is not read at all; lists of many parts compare each with each.
            assert!(steps(&a, &b) <= fuel::STEPS, "{part} {n}");
        }
        let long = part.repeat(5000);
        assert!(Formula::of(&long).readings.is_empty() && steps(&long, &format!("{long}1")) == 0, "{part}");
    }
}
