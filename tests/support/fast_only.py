"""What the plain twins cannot do, as their docstrings say: tests by name, and files of them."""

FAST_ONLY = {
    # It uses no connection twice, so that none is stale, late or shared.
    "test_stale_connections.py",
    "test_late_answers.py",
    "test_answers_of_one_connection.py",
    "test_what_parsers_keep.py",
    # It cannot tell a reset from the end of a body that only the end of the connection frames.
    "test_an_error_cut_by_a_reset_is_a_502_however_it_was_framed",
    # aiohttp lets a body wait whose chunk size is none, until `idle_s` ends it.
    "test_a_chunk_size_that_is_none_ends_a_whole_answer_at_once",
    "test_a_chunk_size_that_is_none_ends_a_stream_at_once",
    "test_without_the_collector_nothing_is_left_of_broken_chunks",
    # aiohttp keeps the request that it answered last until the next one comes, or the connection ends.
    "test_nothing_is_left_of_an_answered_request_while_its_connection_is_idle",
    # aiohttp's client sends a body to its end before it closes.
    "test_the_upstream_call_is_closed_while_the_request_is_still_going_out",
    # aiohttp tells nobody when there is a connection.
    "test_a_client_that_leaves_while_the_upstream_is_still_being_reached_pays_nothing",
    "test_who_leaves_while_the_next_is_connected_to_has_sent_it_nothing",
    # aiohttp reads interim heads itself, however many come.
    "test_sixteen_interim_heads_are_taken_and_no_more",
    # Nor does it bound a head as a whole, trailers, or what else is no body.
    "test_the_log_says_when_a_head_is_too_long_as_a_whole",
    "test_what_brings_no_byte_of_a_body_without_end_is_broken_off",
    # aiohttp may find the connection closing while it sends the request, and then does not say why.
    "test_a_server_that_wants_a_client_certificate_is_told_as_that",
    # aiohttp leaves out header bytes that are not UTF-8.
    "test_header_bytes_above_ascii_cross_as_they_came",
    "test_header_bytes_above_ascii_of_a_stream_cross_as_they_came",
    # It knows nothing of what waits behind a request: neither of heads, nor of what follows an upgrade.
    "test_large_heads.py",
    "test_upgrades.py",
    "test_a_part_of_a_head_behind_a_request_is_closed",
    "test_a_request_that_is_under_way_never_gives_way_and_one_more_is_refused",
    "test_a_chunk_that_goes_wrong_later_is_400_and_closed",
    # The application resolves every path.
    "test_a_known_path_is_not_resolved",
    # It answers a version above HTTP/1.1 as aiohttp does.
    "test_a_newer_version_is_505_in_http_1_1_and_closed",
    # It takes a client that has closed its sending side for gone, unless its request has begun.
    "test_what_is_answered_at_once_is_answered",
    "test_pipelined_messages_are_answered",
}

# What older releases of aiohttp do not do, whichever twin is taken: the first one known to, the test, and its case.
NEWER_ONLY = (
    # It limits neither how many requests wait for their turn, nor that a target is a path.
    ((3, 14, 5), "test_a_client_that_reads_no_response_is_disconnected", ""),
    ((3, 14, 5), "test_malformed_http_is_refused_in_the_apis_shape_and_closed", "asterisk"),
    # It takes requests without a host.
    ((3, 14, 0), "test_malformed_http_is_refused_in_the_apis_shape_and_closed", "no host"),
    # It takes requests with two hosts, and any number of headers, on either side.
    ((3, 13, 5), "test_malformed_http_is_refused_in_the_apis_shape_and_closed", "two hosts"),
    ((3, 13, 5), "test_malformed_http_is_refused_in_the_apis_shape_and_closed", "200 headers"),
    ((3, 13, 5), "test_the_log_says_what_is_too_long_in_a_head", "headers"),
)
