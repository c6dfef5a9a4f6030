/* tests/unit/test_anthropic.c - Anthropic Messages: streams whole and cut at every byte, requests.
 */
#include "ck.h"
#include "json.h"
#include "mem.h"
#include "provider.h"
#include "sse.h"

#define E(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                      \
    E("message_start", ",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":10,"                \
                       "\"cache_read_input_tokens\":4,\"output_tokens\":1}}")
#define BLOCK                                                                                      \
    E("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
#define T(text)                                                                                    \
    E("content_block_delta",                                                                       \
      ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define FIN(why)                                                                                   \
    E("content_block_stop", ",\"index\":0")                                                        \
    E("message_delta", ",\"delta\":{\"stop_reason\":\"" why "\"},\"usage\":{\"output_tokens\":"    \
                       "20}")
#define STOP E("message_stop", "")

struct answer {
    struct sse sse;
    struct reply r;
};

static int on_event(void *ctx, struct view name, struct view data, struct err *e)
{
    struct answer *a = ctx;

    anthropic_ops.event(&a->r, name, data);
    return a->r.done || a->r.fail.reason != FAIL_NONE ? err_set(e, ERR_CLOSED, "over") : 0;
}

static void play(struct answer *a, const char *stream, size_t n, bool clean)
{
    struct err e = ERR_INIT;
    int r;

    sse_init(&a->sse, on_event, a);
    reply_init(&a->r);
    r = sse_feed(&a->sse, view_of(stream, n), &e);
    if (r == 0 && clean)
        r = sse_end(&a->sse, &e);
    ck_assert(r == 0 || r == ERR_CLOSED);
}

static void over(struct answer *a)
{
    sse_fini(&a->sse);
    reply_fini(&a->r);
}

static const struct {
    const char *name, *stream, *text;
    enum reply_stop stop;
    enum fail_reason fail;
    unsigned tools;
} rows[] = {
    {"plain", START BLOCK E("ping", "") T("Hello") T(" w\xc3\xb6rld") FIN("end_turn") STOP,
     "Hello w\xc3\xb6rld", STOP_END, FAIL_NONE, 0},
    {"length", START BLOCK T("a") FIN("max_tokens") STOP, "a", STOP_LENGTH, FAIL_NONE, 0},
    {"thinking",
     START E("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\"}")
         E("content_block_delta",
           ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}")
             E("content_block_delta",
               ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"x\"}") T("a")
                 FIN("end_turn") STOP,
     "a", STOP_END, FAIL_NONE, 0},
    {"tool",
     START BLOCK T("a") E("content_block_start", ",\"index\":1,\"content_block\":{\"type\":\"tool_"
                                                 "use\",\"id\":\"t\",\"name\":\"f\"}")
         E("content_block_delta", ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_"
                                  "json\":\"{\\\"a\\\":\"}")
             E("content_block_delta",
               ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}")
                 FIN("tool_use") STOP,
     "a", STOP_TOOLS, FAIL_NONE, 1},
    {"unknown things",
     START E("message_hiccup", "")
         BLOCK E("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"smell_delta\"}") T("a")
             FIN("tired") STOP,
     "a", STOP_END, FAIL_NONE, 0},
    {"overloaded inside",
     START BLOCK T("a")
         E("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"),
     "a", STOP_NONE, FAIL_OVERLOADED, 0},
    {"refusal", START BLOCK T("a") FIN("refusal") STOP, "a", STOP_NONE, FAIL_REFUSAL, 0},
    {"window", START BLOCK T("a") FIN("model_context_window_exceeded") STOP, "a", STOP_NONE,
     FAIL_CONTEXT, 0},
    {"no stop", START BLOCK T("a") FIN("end_turn"), "a", STOP_END, FAIL_INTERRUPTED, 0},
    {"empty", START FIN("end_turn") STOP, "", STOP_END, FAIL_EMPTY, 0},
    {"garbage", START BLOCK T("a") "data: {\"type\":\n\n", "a", STOP_NONE, FAIL_PROTOCOL, 0},
    {"list", "data: []\n\n", "", STOP_NONE, FAIL_PROTOCOL, 0},
};

START_TEST(test_streams)
{
    struct answer a;
    const char *name = rows[_i].name;

    play(&a, rows[_i].stream, strlen(rows[_i].stream), true);
    ck_assert_msg(reply_complete(&a.r) == (rows[_i].fail == FAIL_NONE), "%s", name);
    ck_assert_msg(a.r.fail.reason == rows[_i].fail, "%s: %s", name, a.r.fail.text);
    ck_assert_msg(view_eq(buf_view(&a.r.text), view_str(rows[_i].text)), "%s", name);
    ck_assert_msg(a.r.stop == rows[_i].stop && a.r.tools == rows[_i].tools, "%s", name);
    if (rows[_i].fail == FAIL_NONE)
        ck_assert_msg(a.r.usage.input == 10 && a.r.usage.output == 20 && a.r.usage.cache_read == 4,
                      "%s", name);
    if (a.r.tools)
        ck_assert(view_eq(buf_view(&a.r.tool[0].args), V("{\"a\":1}")));
    over(&a);
}
END_TEST

START_TEST(test_cut_everywhere)
{
    const char *stream = rows[_i].stream, *stop = strstr(stream, "\"message_stop\"}");
    size_t whole = stop ? (size_t)(stop - stream) + 15 : SIZE_MAX;

    for (size_t n = 0; n <= strlen(stream); n++)
        for (int clean = 0; clean < 2; clean++) {
            struct answer a;
            bool may = rows[_i].fail == FAIL_NONE && n >= whole;

            play(&a, stream, n, clean);
            ck_assert_msg(!reply_complete(&a.r) || may, "%s: complete at byte %zu", rows[_i].name,
                          n);
            ck_assert_msg(view_starts(view_str(rows[_i].text), buf_view(&a.r.text)), "%s",
                          rows[_i].name);
            over(&a);
        }
}
END_TEST

static const struct {
    const char *name, *job, *want;
    uint32_t max_tokens;
} bodies[] = {
    {"plain", "{\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
     "{\"model\":\"m\",\"max_tokens\":8192,\"stream\":true,\"system\":\"S\",\"messages\":[{"
     "\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]}",
     0},
    {"neighbours, empty ones, assistant first",
     "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"},{\"role\":\"user\",\"content\":"
     "\"a\"},{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"b\"},{"
     "\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"user\",\"content\":\"d\"}]}",
     "{\"model\":\"m\",\"max_tokens\":100,\"stream\":true,\"messages\":[{\"role\":\"user\","
     "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{"
     "\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"c\"}]},{\"role\":\"user\","
     "\"content\":[{\"type\":\"text\",\"text\":\"d\"}]}]}",
     100},
    {"image",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"data\":\"R0\"}]}]}",
     "{\"model\":\"m\",\"max_tokens\":8192,\"stream\":true,\"messages\":[{\"role\":\"user\","
     "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
     "png\",\"data\":\"R0\"}}]}]}",
     0},
    {"nothing", "{\"messages\":[]}",
     "{\"model\":\"m\",\"max_tokens\":8192,\"stream\":true,\"messages\":[]}", 0},
    {"tools: calls with their results, halves left out; limits of the request",
     "{\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}],"
     "\"toolChoice\":\"required\",\"limits\":{\"maxTokens\":9,\"temperature\":0.5,\"stop\":[\"x\"],"
     "\"seed\":7},\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
     "\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"toolCall\",\"id\":\"a\",\"name\":"
     "\"f\",\"arguments\":\"{\\\"x\\\":1}\"},{\"type\":\"toolCall\",\"id\":\"b\",\"name\":\"f\","
     "\"arguments\":{}}]},{\"role\":\"toolResult\",\"toolCallId\":\"a\",\"content\":\"r\"},{"
     "\"role\":\"toolResult\",\"toolCallId\":\"a\",\"content\":\"again\"},{\"role\":\"toolResult\","
     "\"toolCallId\":\"z\",\"content\":\"nobody "
     "asked\"},{\"role\":\"user\",\"content\":\"w\"},{\"role\":\"assistant\",\"content\":[{"
     "\"type\":\"toolCall\",\"id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}]},{\"role\":"
     "\"toolResult\",\"toolCallId\":\"c\",\"content\":\"\"}]}",
     "{\"model\":\"m\",\"max_tokens\":9,\"stream\":true,\"temperature\":0.5,\"stop_sequences\":["
     "\"x\"],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
     "\"object\"}}],\"tool_choice\":{\"type\":\"any\"},\"messages\":[{\"role\":\"user\","
     "\"content\":[{\"type\":\"text\",\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":[{"
     "\"type\":\"text\",\"text\":\"t\"},{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\","
     "\"input\":{\"x\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_"
     "id\":\"a\",\"content\":\"r\"},{\"type\":\"text\",\"text\":\"w\"}]},{\"role\":\"assistant\","
     "\"content\":[{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{}}]},{\"role\":"
     "\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":\"\"}]}]}",
     100},
    {"no messages", "{}", NULL, 0},
    {"role", "{\"messages\":[{\"role\":\"x\",\"content\":\"y\"}]}", NULL, 0},
};

START_TEST(test_body)
{
    struct model_spec model = {
        .id = V("m"), .temperature = -1, .top_p = -1, .max_tokens = bodies[_i].max_tokens};
    struct buf out = BUF_INIT(BODY_MAX);
    struct err e = ERR_INIT;
    json_t *job = NULL;
    int r;

    ck_assert_int_eq(json_parse(view_str(bodies[_i].job), &job, &e), 0);
    r = anthropic_ops.body(&(struct model_request){.model = &model, .job = job}, &out, &e);
    ck_assert_msg((r == 0) == (bodies[_i].want != NULL), "%s: %s", bodies[_i].name, e.text);
    if (bodies[_i].want)
        ck_assert_msg(view_eq(buf_view(&out), view_str(bodies[_i].want)), "%s: %.*s",
                      bodies[_i].name, VIEW_FMT(buf_view(&out)));
    json_decref(job);
    buf_fini(&out);
}
END_TEST

START_TEST(test_url)
{
    static const char *const bases[] = {"https://api.anthropic.com", "https://api.anthropic.com/",
                                        "https://api.anthropic.com/v1",
                                        "https://api.anthropic.com/v1/"};
    struct buf out = BUF_INIT(256);

    anthropic_ops.url(&(struct model_spec){.base_url = view_str(bases[_i])}, &out);
    ck_assert(view_eq(buf_view(&out), V("https://api.anthropic.com/v1/messages")));
    buf_fini(&out);
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_loop_test(tc, test_streams, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_cut_everywhere, 0, (int)COUNT_OF(rows));
    tcase_add_loop_test(tc, test_body, 0, (int)COUNT_OF(bodies));
    tcase_add_loop_test(tc, test_url, 0, 4);
}

CK_MAIN("anthropic")
