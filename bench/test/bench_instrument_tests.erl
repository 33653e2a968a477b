%% SPDX-License-Identifier: Apache-2.0
-module(bench_instrument_tests).
-moduledoc """
The instruments themselves: a benchmark that computes its median wrongly is believed all the same.
""".

-include_lib("eunit/include/eunit.hrl").

percentile_is_the_nearest_rank_test() ->
    Samples = lists:seq(100, 1, -1),
    ?assertEqual([1, 50, 99, 100], [bench_statistics:percentile(Samples, P) || P <- [1, 50, 99, 100]]),
    ?assertEqual(7, bench_statistics:percentile([7], 99)),
    ?assertEqual(2, bench_statistics:percentile([1, 2, 3], 50)),
    ?assertEqual(3, bench_statistics:percentile([1, 2, 3], 67)).

median_of_odd_and_even_counts_test() ->
    ?assertEqual(2, bench_statistics:median([3, 1, 2])),
    ?assertEqual(2.5, bench_statistics:median([4, 1, 3, 2])),
    ?assertEqual(5, bench_statistics:median([5])).

a_cut_off_sample_counts_as_at_least_its_age_test() ->
    Starved = {at_least, 6},
    ?assertEqual(3, bench_statistics:median([Starved, 3, 1])),
    ?assertEqual(Starved, bench_statistics:median([Starved, Starved, 1])),
    ?assertEqual({at_least, 4.0}, bench_statistics:median([Starved, 2])),
    ?assertEqual(Starved, bench_statistics:percentile([1, 6, Starved], 99)).

ratio_keeps_what_is_only_a_bound_test() ->
    ?assertEqual(0.5, bench_statistics:ratio(1, 2)),
    ?assertEqual({at_most, 0.5}, bench_statistics:ratio(1, {at_least, 2})),
    ?assertEqual({at_least, 0.5}, bench_statistics:ratio({at_least, 1}, 2)),
    ?assertEqual(unknown, bench_statistics:ratio({at_least, 1}, {at_least, 2})),
    ?assertEqual(unknown, bench_statistics:ratio(1, 0.0)).

numbers_read_well_test() ->
    Texts = [bench_number:text(N) || N <- [1234.5, 99.96, 99.94, 9.996, 9.994, 0.5, 0.0312, {at_least, 12.3}]],
    ?assertEqual(["1235", "100", "99.9", "10.0", "9.99", "0.50", "0.031", [$≥, $\s | "12.3"]], Texts).

standing_follows_the_direction_of_the_metric_test() ->
    ?assertEqual([better, worse, same], [bench_number:standing(higher, R) || R <- [1.5, 0.5, 1.05]]),
    ?assertEqual([worse, better, same], [bench_number:standing(lower, R) || R <- [1.5, 0.5, 1.05]]),
    ?assertEqual(better, bench_number:standing(lower, {at_most, 0.2})),
    ?assertEqual(unknown, bench_number:standing(lower, {at_most, 2.0})).

medians_ratios_and_goals_test() ->
    Runs = [run(inet_tls, 100), run(inet_tls, 300), run(inet_tls, 200), run(barrel_p2p, 90), run(barrel_p2p, 160), run(barrel_p2p, 110)],
    #{medians := Medians, ratios := #{inet_tls := Ratios}} = Summary = bench_result:summary(Runs),
    ?assertMatch(#{inet_tls := #{ping_p50_us := 200}, barrel_p2p := #{ping_p50_us := 110}}, Medians),
    ?assertMatch(#{ping_p50_us := 0.55}, Ratios),
    Reached = [{Key, R} || #{goal := #{key := Key}, reached := R} <- bench_result:verdicts(Summary)],
    ?assertEqual([{ping_p50_us, true}, {bulk_1m_mb_s, false}, {connect_ms, true}, {cpu_1m_s_gb, false}], Reached).

promises_about_state_are_judged_by_value_or_by_ratio_test() ->
    Rows = [Row || #{key := Key} = Row <- bench_state_row:all(), lists:member(Key, [own_10_ns, own_1m_ns, put_16_per_s])],
    Verdicts = fun(Values) -> [bench_state_row:verdict(Row, Values) || Row <- Rows] end,
    ?assertEqual([none, reached, reached], Verdicts(#{own_10_ns => 100, own_1m_ns => 200, put_16_per_s => 100_000})),
    ?assertEqual([none, missed, missed], Verdicts(#{own_10_ns => 100, own_1m_ns => 201, put_16_per_s => 99_999})).

json_escapes_and_marks_bounds_test() ->
    Json = unicode:characters_to_binary(bench_json:encode(#{b => <<"a\"\\\n">>, a => [1, 2.5, true], c => {at_least, 3}})),
    ?assertEqual(<<"{\n  \"a\": [1, 2.5, true],\n  \"b\": \"a\\\"\\\\\\u000a\",\n  \"c\": {\"at_least\": 3}\n}\n">>, Json).

a_chart_is_well_formed_xml_even_with_a_starved_carrier_test() ->
    Starved = maps:update_with(values, fun(V) -> V#{beside_p50_ms := {at_least, 5000}} end, run(inet_tls, 10)),
    Runs = [Starved, run(barrel_p2p, 10)],
    Svg = unicode:characters_to_binary(bench_chart:svg(Runs, bench_result:summary(Runs), "a <caption> & more")),
    {Root, []} = xmerl_scan:string(binary_to_list(Svg), [{quiet, true}]),
    ?assertEqual(svg, element(2, Root)).

%% On a busy machine 0.2 s of the processor may take long.
cpu_seconds_grow_with_work_test_() ->
    {timeout, 60, fun() ->
                      Before = bench_machine:cpu_seconds(os:getpid()),
                      burn(element(1, statistics(runtime)) + 200),
                      ?assert(bench_machine:cpu_seconds(os:getpid()) - Before >= 0.1)
                  end}.

resident_memory_grows_with_what_is_held_test() ->
    Before = bench_machine:resident_bytes(os:getpid()),
    Held = binary:copy(<<1>>, 32 * 1_048_576),
    Grown = bench_machine:resident_bytes(os:getpid()) - Before,
    ?assert(Grown >= byte_size(Held) div 2 andalso Grown < 2 * byte_size(Held)).

a_stream_that_skips_a_message_is_noticed_test() ->
    ?assertEqual({'EXIT', wrong_message}, fed_sink([{0, <<1, 2>>}, {2, <<1, 2>>}])).

a_stream_that_repeats_a_message_is_noticed_test() ->
    ?assertEqual({'EXIT', wrong_message}, fed_sink([{0, <<1, 2>>}, {0, <<1, 2>>}])).

a_stream_that_shortens_a_message_is_noticed_test() ->
    ?assertEqual({'EXIT', wrong_message}, fed_sink([{0, <<1>>}])).

a_stream_that_ends_early_is_noticed_test() ->
    ?assertEqual({'EXIT', wrong_message}, fed_sink([{0, <<1, 2>>}, {done, 2}])).

a_whole_stream_is_confirmed_test() ->
    ?assertEqual({received, 2}, fed_sink([{0, <<1, 2>>}, {1, <<1, 2>>}, {done, 2}])).

pings_and_streams_within_one_vm_test() ->
    ?assertMatch(#{answered := N} when N > 0, bench_traffic:ping(node(), 20)),
    ?assertMatch({[#{longest_ns := _}, #{longest_ns := _}], #{messages := M}} when M > 0,
                 bench_traffic:pings_beside_streams(node(), 2, #{senders => 1, bytes => 1024}, 20)),
    ?assertMatch(#{messages := M, bytes := B} when B =:= 16 * M, bench_traffic:stream(node(), #{senders => 3, bytes => 16}, 20)).

%% A run whose every value is `Value`.
run(Carrier, Value) ->
    Values = maps:from_list([{Key, Value} || #{key := Key} <- bench_metric:all()]),
    #{round => 1, carrier => Carrier, others => 0.0, stolen => 0.0, values => Values}.

fed_sink(Messages) ->
    Self = self(),
    {Sink, Monitor} = spawn_monitor(fun() -> bench_traffic:sink(Self, 2) end),
    receive {Sink, ready} -> ok end,
    _ = [Sink ! Message || Message <- Messages],
    receive
        {Sink, received, Count} -> {received, Count};
        {'DOWN', Monitor, process, Sink, {Error, _, _}} -> {'EXIT', Error}
    after 5_000 -> error(sink_is_silent)
    end.

%% The clock of the processor, not of the wall: others may have it meanwhile.
burn(Until) ->
    case statistics(runtime) of
        {Used, _} when Used < Until -> burn(Until);
        _ -> ok
    end.
