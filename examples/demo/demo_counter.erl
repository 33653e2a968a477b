%% SPDX-License-Identifier: Apache-2.0
-module(demo_counter).
-moduledoc """
An ordinary gen_server. Nothing in it knows how its node is connected.
""".
-behaviour(gen_server).

-export([start/0, increment/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-spec start() -> {ok, pid()}.
start() ->
    gen_server:start({local, ?MODULE}, ?MODULE, [], []).

-spec increment(gen_server:server_ref()) -> pos_integer().
increment(Counter) ->
    gen_server:call(Counter, increment).

-spec init([]) -> {ok, non_neg_integer()}.
init([]) ->
    {ok, 0}.

-spec handle_call(increment, gen_server:from(), non_neg_integer()) -> {reply, pos_integer(), pos_integer()}.
handle_call(increment, _From, Count) ->
    {reply, Count + 1, Count + 1}.

-spec handle_cast(term(), non_neg_integer()) -> {noreply, non_neg_integer()}.
handle_cast(_Message, Count) ->
    {noreply, Count}.

%% A plain message to the pid.
-spec handle_info({hello, pid()}, non_neg_integer()) -> {noreply, non_neg_integer()}.
handle_info({hello, From}, Count) ->
    From ! {welcome, node()},
    {noreply, Count}.
