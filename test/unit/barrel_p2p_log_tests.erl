%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_log_tests).
-moduledoc """
What the reports say, and that data from peers cannot forge them.
""".
-include_lib("eunit/include/eunit.hrl").

%% logger handler callback
-export([log/2]).

refusals_name_node_address_reason_and_remedy_test() ->
    Peer = #{node => <<"b@h">>, address => {{10, 0, 0, 2}, 4433}, fingerprint => <<0:256>>},
    ?assertEqual("barrel_p2p: connection from b@h at 10.0.0.2:4433 with key " ++ lists:duplicate(64, $0) ++
                     " refused (wrong_cookie): the nodes have different cookies; give both the same -setcookie or dist_cookie",
                 text(refused(inbound, Peer, wrong_cookie))),
    ?assertMatch("barrel_p2p: connection to b@h at 10.0.0.2:4433 with key 0" ++ _, text(refused(outbound, Peer, key_mismatch))).

ipv6_addresses_are_bracketed_test() ->
    Peer = #{node => <<"b@h">>, address => {{0, 0, 0, 0, 0, 0, 0, 1}, 1}},
    ?assertMatch("barrel_p2p: connection to b@h at [::1]:1 refused (refused): " ++ _, text(refused(outbound, Peer, refused))).

peers_may_be_unknown_test() ->
    ?assertMatch("barrel_p2p: connection from a node without a name refused (hello_timeout): " ++ _, text(refused(inbound, #{}, hello_timeout))).

claimed_names_cannot_forge_log_lines_test() ->
    Text = text(refused(inbound, #{node => <<"a@h\r\n[error] all is lost", 27, 200>>}, invalid_name)),
    ?assertMatch("barrel_p2p: connection from a@h??[error]?all?is?lost?? refused" ++ _, Text).

long_names_are_cut_test() ->
    ?assert(length(text(refused(inbound, #{node => binary:copy(<<"a">>, 5000)}, invalid_name))) < 500).

every_event_is_one_line_test() ->
    [?assertMatch("barrel_p2p: " ++ _, text(Event))
     || Event <- [#{event => default_cookie}, #{event => auth_disabled}, #{event => start_refused, text => "why"},
                  #{event => values_too_late, keys => [listen_port, auth_key_dir]},
                  #{event => discovery_failed, backend => m, function => lookup, reason => {error, "a\nb"}},
                  #{event => identity_rotated, fingerprint => <<1:256>>, backup_dir => "/é"},
                  #{event => certificate_rotated, backup_dir => "/é"}]].

%% OTP's default handler drops events of every logger domain but its own.
default_handler_shows_refusals_test() ->
    {Handler, Self} = {?FUNCTION_NAME, self()},
    {ok, #{filters := Filters, filter_default := Default}} = logger:get_handler_config(default),
    ok = logger:add_handler(Handler, ?MODULE, #{config => Self, filters => Filters, filter_default => Default}),
    try
        ok = barrel_p2p_log:refused(inbound, #{node => <<"b@h">>}, wrong_cookie),
        receive
            {logged, #{level := Level, msg := {report, Report}}} ->
                ?assertMatch({warning, #{event := refused, reason := wrong_cookie}}, {Level, Report})
        after 2000 -> error(not_logged)
        end
    after
        logger:remove_handler(Handler)
    end.

log(Event, #{config := Pid}) ->
    Pid ! {logged, Event}.

refused(Direction, Peer, Reason) ->
    #{event => refused, direction => Direction, peer => Peer, reason => Reason}.

text(Event) ->
    {Format, Args} = barrel_p2p_log:format(Event),
    Text = lists:flatten(io_lib:format(Format, Args)),
    ?assertNot(lists:member($\n, Text)),
    Text.
