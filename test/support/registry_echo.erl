%% SPDX-License-Identifier: Apache-2.0
-module(registry_echo).
-moduledoc """
A server for tests: answers a call with what it was asked, after a while or never if asked to, and tells somebody what it was told to.
""".

-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

init(State) ->
    {ok, State}.

handle_call({after_ms, Milliseconds, Request}, From, State) ->
    _ = erlang:send_after(Milliseconds, self(), {reply, From, {echo, Request}}),
    {noreply, State};
handle_call(never, _From, State) ->
    {noreply, State};
handle_call(Request, _From, State) ->
    {reply, {echo, Request}, State}.

handle_cast({tell, Pid, What}, State) ->
    Pid ! What,
    {noreply, State}.

handle_info({reply, From, Reply}, State) ->
    gen_server:reply(From, Reply),
    {noreply, State};
handle_info({tell, Pid, What}, State) ->
    Pid ! What,
    {noreply, State};
handle_info(stop, State) ->
    {stop, normal, State}.
