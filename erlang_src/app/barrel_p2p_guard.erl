%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_guard).
-moduledoc """
Makes sure that a node which thinks it runs over barrel_p2p does.

When our listener fails but another carrier is in `-proto_dist`, or when OTP 25 reads a doubled flag as none, a node comes up on plain TCP
without a word. The application therefore refuses to start on a node that is alive while our carrier is not, or that listens over a carrier
nobody asked for.
""".

-export([check/0, verdict/1]).
-export_type([facts/0]).

%% carrying: does our endpoint run, be it to listen or (-dist_listen false, dynamic names) only to dial from? asked: what follows
%% -proto_dist, once per occurrence of the flag. running: the carriers that net_kernel started.
-type facts() :: #{alive := boolean(), carrying := boolean(), asked := [[string()]], running := [string()]}.

-spec check() -> ok | {error, nonempty_string()}.
check() ->
    verdict(#{alive => erlang:is_alive(), carrying => barrel_p2p_native:endpoint() =/= {error, not_started}, asked => asked(), running => running()}).

-spec verdict(facts()) -> ok | {error, nonempty_string()}.
verdict(#{alive := false}) ->
    ok;
verdict(#{asked := Asked}) when length(Asked) > 1 ->
    {error, "-proto_dist is given more than once, which OTP does not read as one list; give it once, as -proto_dist barrel_p2p"};
verdict(#{carrying := false, asked := Asked, running := Running}) ->
    case lists:member("barrel_p2p", lists:append(Asked)) of
        true ->
            {error, "the distribution of this node should run over barrel_p2p but its listener did not start" ++ instead(Running)
                 ++ "; the reason was printed when distribution started"};
        false ->
            {error, "the distribution of this node does not run over barrel_p2p" ++ instead(Running)
                 ++ "; start it with -proto_dist barrel_p2p -epmd_module barrel_p2p_epmd -start_epmd false"}
    end;
verdict(#{asked := Asked, running := Running}) ->
    case Running -- lists:append(Asked) of
        [] -> ok;
        Unasked -> {error, "the node also listens over " ++ names(Unasked) ++ ", which -proto_dist does not name; name it there if it is wanted"}
    end.

-spec instead([string()]) -> string().
instead([]) -> "";
instead(Carriers) -> " (it runs over " ++ names(Carriers) ++ ")".

-spec names([string()]) -> string().
names(Carriers) -> lists:append(lists:join(" and ", Carriers)).

-spec asked() -> [[string()]].
asked() ->
    case init:get_argument(proto_dist) of
        {ok, Lists} -> Lists;
        error -> []
    end.

%% There is no public way to ask. The record is {listen, Socket, Accept, Address, Module} on OTP 25 to 29; nothing is found if that changes.
-spec running() -> [string()].
running() ->
    case whereis(net_kernel) of
        undefined -> [];
        Kernel -> [carrier(element(5, Listen)) || Field <- tuple_to_list(sys:get_state(Kernel)), is_list(Field), Listen <- Field,
                                                  is_tuple(Listen), tuple_size(Listen) =:= 5, element(1, Listen) =:= listen]
    end.

-spec carrier(module()) -> string().
carrier(Module) ->
    hd(string:split(atom_to_list(Module), "_dist", trailing)).
