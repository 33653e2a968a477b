%% SPDX-License-Identifier: Apache-2.0
-module(demo_print).
-moduledoc """
Headings, aligned rows and times on the terminal.
""".

-export([title/1, heading/1, rows/1, note/1, time/1, short/1]).

-define(COLUMNS, 92).

-spec title(iodata()) -> ok.
title(Text) ->
    io:put_chars(["\n", bold(Text), "\n"]).

-spec heading(iodata()) -> ok.
heading(Text) ->
    io:put_chars(["\n", bold(Text), "\n"]).

%% Every column is as wide as its widest cell.
-spec rows([[unicode:chardata()]]) -> ok.
rows(Rows) ->
    Columns = lists:max([length(Row) || Row <- Rows]),
    Widths = [lists:max([string:length(lists:nth(N, Row)) || Row <- Rows, length(Row) >= N]) || N <- lists:seq(1, Columns)],
    io:put_chars([["  ", string:trim(row(Row, Widths), trailing), "\n"] || Row <- Rows]).

%% Less important, and broken into lines that fit the screen.
-spec note(iodata()) -> ok.
note(Text) ->
    io:put_chars([["  ", dim(Line), "\n"] || Line <- wrapped(string:lexemes(unicode:characters_to_list(Text), " "), "")]).

-spec time(non_neg_integer()) -> string().
time(Micros) when Micros >= 1_000_000 -> format("~.2f s", [Micros / 1.0e6]);
time(Micros) when Micros >= 1_000 -> format("~.1f ms", [Micros / 1.0e3]);
time(Micros) -> format("~b µs", [Micros]).

%% The first part of a fingerprint, in groups of four as people compare it.
-spec short(binary()) -> string().
short(<<A:4/binary, B:4/binary, C:4/binary, D:4/binary, _/binary>>) ->
    format("~s ~s ~s ~s", [A, B, C, D]).

wrapped([Word | Rest], "") -> wrapped(Rest, Word);
wrapped([Word | Rest], Line) when length(Line) + 1 + length(Word) =< ?COLUMNS -> wrapped(Rest, Line ++ " " ++ Word);
wrapped([], Line) -> [Line];
wrapped(Words, Line) -> [Line | wrapped(Words, "")].

row(Cells, Widths) ->
    unicode:characters_to_list([string:pad(Cell, Width + 3) || {Cell, Width} <- lists:zip(Cells, lists:sublist(Widths, length(Cells)))]).

format(Format, Arguments) ->
    lists:flatten(io_lib:format(Format, Arguments)).

bold(Text) -> coloured("1", Text).
dim(Text) -> coloured("2", Text).

coloured(Code, Text) ->
    case init:get_argument(demo_colour) of
        {ok, [["true"]]} -> ["\e[", Code, "m", Text, "\e[0m"];
        _ -> Text
    end.
