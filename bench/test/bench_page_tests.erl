%% SPDX-License-Identifier: Apache-2.0
-module(bench_page_tests).
-moduledoc """
The page of results: complete whatever is missing, and plain about what is slower.
""".

-include_lib("eunit/include/eunit.hrl").

json_read_back_is_what_was_written_test() ->
    Term = #{text => <<"µ \"quoted\" \\ \n"/utf8>>, numbers => [1, -2.5, 0.001, 1.0e9], empty => #{}, none => [], bound => {at_least, 6000.5},
             nested => [#{ratio => {at_most, 0.1}, yes => true, no => false}]},
    ?assertEqual(Term, decoded(Term)).

a_page_without_results_says_what_makes_them_test() ->
    Page = page(#{}),
    _ = [?assertNotEqual(nomatch, string:find(Page, ["No result yet: `", Command, "`"]))
         || Command <- ["bench/run.sh", "bench/run.sh lanes", "bench/run.sh network", "bench/run.sh state"]],
    ?assertEqual(nomatch, string:find(Page, "chart.svg")).

every_row_and_goal_of_the_carriers_is_shown_test() ->
    Page = page(#{carrier => report(#{inet_tcp => 100.0, inet_tls => 100.0, barrel_p2p => 100.0})}),
    ?assertNotEqual(nomatch, string:find(Page, "](chart.svg)")),
    ?assertNotEqual(nomatch, string:find(Page, "some cpu, 2 cores, Linux 6, OTP 25, OpenSSL, commit abc. Load average 1.00 at start, 3 rounds")),
    _ = [?assertNotEqual(nomatch, string:find(Page, ["| ", Group, ", ", Label, " | "])) || #{group := Group, label := Label} <- bench_metric:all()],
    ?assertEqual(length(bench_metric:goals()), length(lines(Page, "reached |")) + length(lines(Page, "**missed** |"))),
    ?assertEqual([], lines(Page, " than the ")).

what_is_slower_is_said_and_nothing_else_test() ->
    Page = page(#{carrier => report(#{inet_tcp => 100.0, barrel_p2p => 80.0})}),
    Worse = [Row || #{better := higher} = Row <- bench_metric:all()],
    ?assertEqual(length(Worse), length(lines(Page, " than the "))),
    ?assertEqual(["* Small messages, 1 sender: 80.0 k/s, less than the 100 k/s of `inet_tcp` (0.80 ×)."], lines(Page, "* Small messages, 1 sender")),
    ?assertEqual([], lines(Page, "* Ping, ")).

a_result_from_before_a_row_was_added_is_shown_test() ->
    Report = #{medians := Medians} = report(#{inet_tcp => 100.0, barrel_p2p => 80.0}),
    Old = maps:map(fun(_, Values) -> maps:remove(connect_ms, Values) end, Medians),
    Page = page(#{carrier => Report#{medians := Old}}),
    ?assertEqual([], lines(Page, "| Connect, median")),
    ?assertMatch([_, _ | _], lines(Page, "| Bulk, ")).

a_starved_peer_is_not_called_faster_test() ->
    Report = #{medians := #{inet_tls := Tls} = Medians} = report(#{inet_tls => 100.0, barrel_p2p => 100.0}),
    Page = page(#{carrier => Report#{medians := Medians#{inet_tls := Tls#{beside_p50_ms := {at_least, 10}}}}}),
    [Row] = lines(Page, "| Ping beside 1 MiB bulk, p50 |"),
    ?assertNotEqual(nomatch, string:find(Row, "≥ 10.0")),
    ?assertEqual([], lines(Page, "* Ping beside 1 MiB bulk, p50")).

promises_of_state_are_goals_test() ->
    Keys = lists:append([[Key | [Other || #{beside := {Other, _}} <- [Row]]] || #{key := Key} = Row <- bench_state_row:all()]),
    Page = page(#{state => (report(#{}))#{medians := maps:from_list([{Key, 150} || Key <- Keys]), settings := #{rounds => 1}}}),
    ?assertMatch([_], lines(Page, "| whereis_service, other node | ≤ 1000 | 150 ns | reached |")),
    ?assertMatch([_], lines(Page, "| map_put, 16 callers | ≥ 100000 | 150 /s | **missed** |")),
    ?assertMatch([_], lines(Page, "| persistent map_put, 64 callers | ≥ 20.0 × fsync_64_per_s | 1.00 × | **missed** |")).

a_minute_in_which_somebody_starves_misses_the_goal_test() ->
    Verdict = fun(Longest) ->
                  Of = maps:from_list([{Key, 1.0} || #{key := Key} <- bench_lanes_row:all()]),
                  Page = page(#{lanes => (report(#{}))#{medians := #{barrel_p2p => Of#{longest_in_minute := Longest}}}}),
                  [Line] = lines(Page, "longest without an answer | ≤ 100 ms |"),
                  lists:last(string:lexemes(Line, "|"))
              end,
    ?assertEqual([" reached ", " **missed** ", " **missed** "], [Verdict(99.0), Verdict(101.0), Verdict({at_least, 10.0})]).

every_path_of_the_network_has_its_rows_test() ->
    Of = fun(Value) -> maps:from_list([{Key, Value} || {Key, _, _, _} <- bench_network_cell:metrics()]) end,
    Cells = [#{path => Path, values => #{inet_tcp => Of(100.0), barrel_p2p => Of(Ours)}} || {Path, Ours} <- [{<<"near">>, 50.0}]]
        ++ [#{path => <<"far">>, narrow_rtt_ms => 70, values => #{inet_tcp => Of(100.0), barrel_p2p => Of(100.0)}}],
    Shares = [#{first => <<"barrel_p2p">>, second => <<"inet_tcp with Cubic">>, part_of_first => 0.48,
                at_least => 0.3, at_most => 0.7, reached => true}],
    Page = page(#{network => (report(#{}))#{cells => Cells, shares => Shares}}),
    Metrics = bench_network_cell:metrics(),
    ?assertEqual([length(Metrics) + 3, length(Metrics) + 5], [length(lines(Page, Path)) || Path <- ["| near, ", "| far, "]]),
    ?assertMatch([_], lines(Page, "| near, 8 MiB, 1 sender | ≥ 1.00 × inet_tcp | 0.50 × | **missed** |")),
    ?assertMatch([_], lines(Page, "| near, ping beside 1 MiB bulk, p99 | ≤ 0.50 × inet_tcp | 0.50 × | reached |")),
    ?assertMatch([_], lines(Page, "| far, ping beside 1 MiB bulk, p99 | ≤ 110 ms | 100 ms | reached |")),
    ?assertMatch([_], lines(Page, "| far, dropped by a full buffer | ≤ 2.00 % | 100 % | **missed** |")),
    ?assertEqual([length([higher || {_, _, _, higher} <- Metrics]), 0], [length(lines(Page, Path)) || Path <- ["* near, ", "* far, "]]),
    ?assertMatch([_], lines(Page, "| barrel_p2p | inet_tcp with Cubic | 48 : 52 | 30 to 70 % | reached |")).

a_busy_machine_and_a_quick_run_are_admitted_test() ->
    Report = report(#{inet_tcp => 1.0, barrel_p2p => 1.0}),
    Page = page(#{carrier => Report#{mode := quick, runs := [#{others => 0.3, round => 1}]}}),
    ?assertMatch([_], lines(Page, "used up to 30 % of the machine during a turn: **it was not quiet")),
    ?assertMatch([_], lines(Page, "quick run")),
    ?assertEqual([], lines(page(#{carrier => Report}), "quiet, do not quote")).

the_newest_result_of_each_kind_is_taken_test() ->
    Folder = filename:join(bench_report:argument(temp), "page"),
    Chart = filename:join(Folder, "benchmarks.svg"),
    ok = filelib:ensure_dir(Chart),
    Put = fun(Name, Utc) ->
              ok = file:write_file(filename:join(Folder, Name ++ ".json"), bench_json:encode((report(#{barrel_p2p => 1.0}))#{utc := Utc})),
              ok = file:write_file(filename:join(Folder, Name ++ ".svg"), Utc)
          end,
    _ = [Put(Name, Utc) || {Name, Utc} <- [{"20260101T000000Z", <<"the second">>}, {"20250101T000000Z", <<"the first">>}]],
    ok = bench_page:write(Folder, Folder),
    {ok, Page} = file:read_file(filename:join(Folder, "benchmarks.md")),
    ?assertMatch([_], lines(Page, "the second")),
    ?assertEqual([], lines(Page, "the first")),
    ?assertEqual({ok, <<"the second">>}, file:read_file(Chart)),
    ?assertMatch([_], lines(Page, "No result yet: `bench/run.sh lanes`")).

%% A report of three rounds in which a carrier had the same value in every row.
report(Values) ->
    Medians = maps:map(fun(_, Value) -> maps:from_list([{Key, Value} || #{key := Key} <- bench_metric:all()]) end, Values),
    Machine = #{cpu => <<"some cpu">>, cores => 2, kernel => <<"6">>, otp => <<"25">>, crypto => <<"OpenSSL">>},
    #{utc => <<"2026-01-01T00:00:00Z">>, commit => <<"abc">>, machine => Machine, load_at_start => 1.0, mode => full,
      settings => #{rounds => 3}, runs => [#{others => 0.01, round => 3}], medians => Medians}.

%% As it comes from disk.
page(Reports) ->
    unicode:characters_to_binary(bench_markdown:page(maps:map(fun(_, Report) -> decoded(Report) end, Reports), "chart.svg")).

decoded(Term) ->
    bench_json:decode(unicode:characters_to_binary(bench_json:encode(Term))).

lines(Page, Part) ->
    [unicode:characters_to_list(Line) || Line <- binary:split(Page, <<"\n">>, [global]), string:find(Line, Part) =/= nomatch].
