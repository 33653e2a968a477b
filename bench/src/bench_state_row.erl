%% SPDX-License-Identifier: Apache-2.0
-module(bench_state_row).
-moduledoc """
What is measured of maps, registry and clock: the rows, the promise of each, and what stands beside it for comparison.
""".

-export([all/0, verdict/2, limit/1]).

-export_type([row/0, values/0]).

%% `beside` is what OTP offers for the job, or the floor below which nothing can go; `goal` holds for the value or for its ratio to another row.
-type row() :: #{key := atom(), label := string(), unit := string(), better := lower | higher, beside => {atom(), string()},
                 goal => {at_most | at_least, number()} | {ratio, atom(), at_most | at_least, number()}}.
-type values() :: #{atom() => number()}.

-spec all() -> [row(), ...].
all() ->
    [#{key => own_10_ns, label => "map_put, 10 keys, no other host", unit => "ns", better => lower},
     #{key => own_1m_ns, label => "map_put, 1,000,000 keys, no other host", unit => "ns", better => lower, goal => {ratio, own_10_ns, at_most, 2}},
     #{key => put_10_ns, label => "map_put, 10 keys, 1 caller", unit => "ns", better => lower,
       beside => {server_insert_ns, "gen_server + ets:insert"}},
     #{key => put_1m_ns, label => "map_put, 1,000,000 keys", unit => "ns", better => lower, goal => {ratio, put_10_ns, at_most, 2}},
     #{key => put_16_per_s, label => "map_put, 16 callers", unit => "/s", better => higher, beside => {mnesia_per_s, "mnesia async_dirty, 2 copies"},
       goal => {at_least, 100_000}},
     #{key => get_ns, label => "map_get", unit => "ns", better => lower, beside => {ets_lookup_ns, "ets:lookup"}, goal => {at_most, 1_000}},
     #{key => own_disk_64_per_s, label => "persistent map_put, 64 callers, no other host", unit => "/s", better => higher,
       beside => {fsync_64_per_s, "one fsync each"}, goal => {ratio, fsync_64_per_s, at_least, 20}},
     #{key => persistent_64_per_s, label => "persistent map_put, 64 callers", unit => "/s", better => higher,
       beside => {fsync_64_per_s, "one fsync each"}, goal => {ratio, fsync_64_per_s, at_least, 20}},
     #{key => whereis_local_ns, label => "whereis_service, own node", unit => "ns", better => lower,
       beside => {global_whereis_ns, "global:whereis_name"}, goal => {at_most, 1_000}},
     #{key => whereis_remote_ns, label => "whereis_service, other node", unit => "ns", better => lower, goal => {at_most, 1_000}},
     #{key => register_16_per_s, label => "register + unregister, 16 callers", unit => "/s", better => higher,
       beside => {pg_16_per_s, "pg join + leave"}, goal => {at_least, 100_000}},
     #{key => via_start_us, label => "start of a fresh via name", unit => "µs", better => lower,
       beside => {global_start_us, "via global"}, goal => {at_most, 1_000}},
     #{key => hlc_now_ns, label => "barrel_p2p_hlc:now", unit => "ns", better => lower, beside => {system_time_ns, "erlang:system_time"},
       goal => {at_most, 200}}].

%% Whether a row kept its promise; `none` when there is none.
-spec verdict(row(), values()) -> reached | missed | none.
verdict(#{key := Key, goal := {ratio, Base, How, Limit}}, Values) ->
    judged(How, maps:get(Key, Values) / maps:get(Base, Values), Limit);
verdict(#{key := Key, goal := {How, Limit}}, Values) ->
    judged(How, maps:get(Key, Values), Limit);
verdict(#{}, _Values) ->
    none.

judged(at_most, Value, Limit) when Value =< Limit -> reached;
judged(at_least, Value, Limit) when Value >= Limit -> reached;
judged(_, _, _) -> missed.

%% The promise of a row that has one, as text.
-spec limit(row() | {at_most | at_least, number()}) -> string().
limit(#{goal := {ratio, Base, How, Limit}}) -> limit({How, Limit}) ++ " × " ++ atom_to_list(Base);
limit(#{goal := Goal}) -> limit(Goal);
limit({at_most, Limit}) -> "≤ " ++ bench_number:text(Limit);
limit({at_least, Limit}) -> "≥ " ++ bench_number:text(Limit).
