%% SPDX-License-Identifier: Apache-2.0
-module(bench_chart).
-moduledoc """
The result as one SVG picture: a panel per metric, a bar per carrier (the median), a dot per round.

Bars start at zero and each panel has its own linear scale. A value that is only a lower bound has no honest length: its bar fills the panel and
is hatched. Colours follow the reader's light or dark setting.
""".

-export([svg/3]).

-define(COLUMNS, 3).
-define(MARGIN, 32).
-define(PANEL_WIDTH, 320).
-define(PANEL_HEIGHT, 128).
-define(GAP, 24).
-define(TOP, 104).
-define(NAME_WIDTH, 80).
-define(BAR_WIDTH, 164).
-define(BAR_HEIGHT, 16).
-define(BAR_STEP, 24).

%% `Caption` says what it was measured on.
-spec svg([bench_result:run(), ...], bench_result:summary(), string()) -> iodata().
svg(Runs, #{carriers := Carriers} = Summary, Caption) ->
    Metrics = bench_metric:all(),
    Width = 2 * ?MARGIN + ?COLUMNS * ?PANEL_WIDTH + (?COLUMNS - 1) * ?GAP,
    Bottom = ?TOP + (length(Metrics) + ?COLUMNS - 1) div ?COLUMNS * (panel_height(Carriers) + ?GAP),
    Height = Bottom + 40,
    Panels = [panel(Index, Metric, Runs, Summary) || {Index, Metric} <- lists:zip(lists:seq(0, length(Metrics) - 1), Metrics)],
    [io_lib:format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ~b ~b\" width=\"~b\" height=\"~b\" role=\"img\" "
                   "aria-label=\"Benchmark of Erlang distribution carriers\">~n", [Width, Height, Width, Height]),
     style(), hatch(),
     io_lib:format("<rect class=\"page\" width=\"~b\" height=\"~b\" rx=\"12\"/>~n", [Width, Height]),
     text({?MARGIN, 46}, "title", "Erlang distribution carriers, side by side"),
     text({?MARGIN, 72}, "note", subtitle(Runs)),
     Panels,
     text({?MARGIN, Bottom + 14}, "note", Caption),
     "</svg>\n"].

subtitle(Runs) ->
    case lists:max([Round || #{round := Round} <- Runs]) of
        1 -> "One round, two VMs on loopback. Each panel has its own scale.";
        Rounds ->
            io_lib:format("Bars: medians of ~b interleaved rounds. Dots: pairs of VMs. Two fresh ones each, on loopback. "
                          "Each panel has its own scale.", [Rounds])
    end.

panel(Index, #{key := Key} = Metric, Runs, #{carriers := Carriers, medians := Medians, ratios := Ratios}) ->
    X = ?MARGIN + Index rem ?COLUMNS * (?PANEL_WIDTH + ?GAP),
    Y = ?TOP + Index div ?COLUMNS * (panel_height(Carriers) + ?GAP),
    Rows = [{Carrier, maps:get(Key, maps:get(Carrier, Medians)), bench_result:samples(Runs, Carrier, Key)} || Carrier <- Carriers],
    Scale = scale(Rows),
    [io_lib:format("<g transform=\"translate(~b ~b)\">~n", [X, Y]),
     heading(Metric), standing(Key, Ratios),
     [bar(44 + N * ?BAR_STEP, Row, Scale) || {N, Row} <- lists:zip(lists:seq(0, length(Rows) - 1), Rows)],
     "</g>\n"].

panel_height(Carriers) ->
    ?PANEL_HEIGHT + (length(Carriers) - 3) * ?BAR_STEP.

heading(#{group := Group, label := Label, unit := Unit, better := Better}) ->
    [text({0, 14}, "head", [Group, ", ", Label]),
     text({0, 32}, "note", [Unit, case Better of lower -> ", lower is better"; higher -> ", higher is better" end])].

%% Our ratio to every other carrier, where ours took part.
standing(Key, Ratios) ->
    Parts = [[bench_number:ratio(Ratio), " ", atom_to_list(Base)] || {Base, #{Key := Ratio}} <- lists:sort(maps:to_list(Ratios)), Ratio =/= unknown],
    [text({?PANEL_WIDTH, 32}, "note end", lists:join(" · ", Parts)) || Parts =/= []].

%% Pixels per unit, so that the largest complete value fills the bar's room.
scale(Rows) ->
    Complete = [V || {_, Median, Samples} <- Rows, V <- [Median | Samples], is_number(V)],
    case lists:max([0 | Complete]) of
        Max when Max > 0 -> ?BAR_WIDTH / Max;
        _ -> 0.0
    end.

bar(Y, {Carrier, Median, Samples}, Scale) ->
    {Length, Fill} =
        case Median of
            {at_least, _} -> {float(?BAR_WIDTH), "cut " ++ class(Carrier)};
            _ -> {max(1.5, Median * Scale), class(Carrier)}
        end,
    Middle = Y + ?BAR_HEIGHT div 2,
    End = lists:max([Length | [S * Scale || S <- Samples, is_number(S), length(Samples) > 1]]),
    [text({?NAME_WIDTH - 8, Middle + 4}, "name end " ++ class(Carrier), atom_to_list(Carrier)),
     io_lib:format("<rect class=\"~s\" x=\"~b\" y=\"~b\" width=\"~.1f\" height=\"~b\" rx=\"2.5\"/>~n", [Fill, ?NAME_WIDTH, Y, Length, ?BAR_HEIGHT]),
     [io_lib:format("<circle class=\"dot\" cx=\"~.1f\" cy=\"~b\" r=\"2.2\"/>~n", [?NAME_WIDTH + S * Scale, Middle])
      || S <- Samples, is_number(S), length(Samples) > 1],
     text({round(?NAME_WIDTH + End) + 8, Middle + 4}, "value " ++ class(Carrier), bench_number:text(Median))].

class(barrel_p2p) -> "ours";
class(inet_tls) -> "second";
class(_Other) -> "first".

text({X, Y}, Class, Text) ->
    io_lib:format("<text class=\"~s\" x=\"~b\" y=\"~b\">~ts</text>~n", [Class, X, Y, escaped(Text)]).

escaped(Text) ->
    [case Char of $< -> "&lt;"; $> -> "&gt;"; $& -> "&amp;"; _ -> Char end || Char <- unicode:characters_to_list(Text)].

%% A pattern has the colour of its stripes, so there is one for us and one for the others.
hatch() ->
    ["<defs>", [io_lib:format("<pattern id=\"hatch-~s\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
                              "<rect class=\"~s\" width=\"3\" height=\"6\"/></pattern>", [Class, Class]) || Class <- ["second", "ours"]],
     "</defs>\n"].

%% Plain rules and one media query: renderers that know no CSS variables still get the light picture right.
style() ->
    "<style>\n"
    "text { font: 12px system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif; fill: #1f2937 }\n"
    ".title { font-size: 22px; font-weight: 650 } .head { font-size: 14px; font-weight: 600 } .note { fill: #6b7280; font-size: 11.5px }\n"
    ".end { text-anchor: end } .name { font-size: 11.5px } .value { font-variant-numeric: tabular-nums }\n"
    "text.first, text.second { fill: #4b5563 } text.ours { fill: #4338ca; font-weight: 650 }\n"
    ".page { fill: #ffffff } rect.first { fill: #8896ab } rect.second { fill: #b9c3d1 } rect.ours { fill: #5b50e6 }\n"
    "rect.cut.first, rect.cut.second { fill: url(#hatch-second) } rect.cut.ours { fill: url(#hatch-ours) }\n"
    ".dot { fill: #ffffff; stroke: #1f2937; stroke-width: 1 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "text { fill: #e5e7eb } .note { fill: #9aa4b5 } text.first, text.second { fill: #b6bfcd } text.ours { fill: #b4adff }\n"
    ".page { fill: #10141c } rect.first { fill: #6b7a92 } rect.second { fill: #445067 } rect.ours { fill: #7c72ff }\n"
    ".dot { fill: #10141c; stroke: #e5e7eb }\n"
    "}\n</style>\n".
