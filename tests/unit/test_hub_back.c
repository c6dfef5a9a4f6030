/* A hub that died in the middle of a turn and came back, on the real binary: the end of the turn
 * reaches the clients whose front was slower than the agent, and is told once more when the hub
 * died between the disk and the wire. HUB_BIN names it. */
#include "ck.h"
#include "hub_drive.h"
#include "view.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char dir[64], ticket[4096];
static size_t ticket_n;
static struct hub_drive *d;

static int rm(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static void start(void)
{
    d = hub_drive_start(getenv("HUB_BIN"), dir, "");
    ck_assert_msg(d != NULL, "the hub did not start");
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/hub-XXXXXX");
    ck_assert(mkdtemp(dir));
    start();
}

static void teardown(void)
{
    hub_drive_free(&d);
    (void)nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
}

/* A client and its turn; returns the job. */
static uint64_t begin(void)
{
    const struct hub_note *n;

    hub_drive_front(d, 0);
    hub_drive_front_back(d, 0, 0, VIEW_EMPTY);
    n = hub_drive_connect(
        d, 0, 5,
        "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"gateway-client\",\"version\":"
        "\"1\","
        "\"platform\":\"linux\",\"mode\":\"backend\"},\"scopes\":[\"operator.admin\"],"
        "\"auth\":{\"token\":\"test-token-0123456789\"}}",
        "", "x", true);
    ck_assert(n && n->extra_len && n->extra_len < sizeof(ticket));
    ticket_n = n->extra_len;
    memcpy(ticket, n->extra, ticket_n);
    ck_assert(strstr(hub_drive_call(d, 0, 5, "chat.send",
                                    "{\"sessionKey\":\"agent:main:t\",\"message\":\"hi\","
                                    "\"idempotencyKey\":\"run-1\"}"),
                     "started"));
    n = hub_drive_wait(d, MSG_job_submit, 0, 0, NULL);
    ck_assert(n);
    return n->req;
}

static void done(struct link *agent, uint64_t job)
{
    struct ipc_run_done m = {.job_id = job,
                             .attempt = 1,
                             .outcome = RUN_OK,
                             .provider = V("mock"),
                             .model = V("m"),
                             .stop_reason = V("stop"),
                             .text = V("the answer")};
    struct err e = ERR_INIT;

    ck_assert_int_eq(msg_send_run_done(agent, &m, &e), 0);
}

static void again(void)
{
    hub_drive_free(&d);
    start();
}

#define FINAL "\"state\":\"final\""

START_TEST(test_agent_is_faster_than_front)
{
    uint64_t job = begin();

    again();
    hub_drive_front(d, 0);
    done(hub_drive_agent(d), job);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(hub_drive_none(d, MSG_run_ack, 0, NULL), "heard before the front was back");
    hub_drive_front_back(d, 0, 5, view_of(ticket, ticket_n));
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, FINAL) != NULL);
    ck_assert(hub_drive_wait(d, MSG_run_ack, 0, job, NULL) != NULL);
    ck_assert(hub_drive_none(d, MSG_event, 0, FINAL));
}
END_TEST

START_TEST(test_front_dies_instead)
{
    uint64_t job = begin();

    again();
    hub_drive_front(d, 0);
    done(hub_drive_agent(d), job);
    ck_assert(hub_drive_none(d, MSG_run_ack, 0, NULL));
    hub_drive_front_close(d, 0);
    ck_assert(hub_drive_wait(d, MSG_run_ack, 0, job, NULL) != NULL);
}
END_TEST

START_TEST(test_front_hangs)
{
    uint64_t job = begin();

    again();
    hub_drive_front(d, 0);
    done(hub_drive_agent(d), job);
    ck_assert(hub_drive_wait(d, MSG_run_ack, 0, job, NULL) != NULL); /* after a while */
}
END_TEST

START_TEST(test_job_lost_meanwhile)
{
    uint64_t job = begin();
    struct err e = ERR_INIT;
    const struct hub_note *n;

    again();
    hub_drive_front(d, 0);
    (void)hub_drive_agent(d);
    ck_assert_int_eq(
        msg_send_job_state(hub_drive_sup(d),
                           &(struct ipc_job_state){.job_id = job, .attempt = 1, .state = JOB_LOST},
                           &e),
        0);
    ck_assert(hub_drive_none(d, MSG_job_submit, 0, NULL));
    hub_drive_front_back(d, 0, 5, view_of(ticket, ticket_n));
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, "retrying") != NULL);
    n = hub_drive_wait(d, MSG_job_submit, 0, job, NULL);
    ck_assert(n && n->code == 2); /* the second attempt, and no other */
    ck_assert(hub_drive_none(d, MSG_job_submit, 0, NULL));
}
END_TEST

/* The row says that it ended, the agent knows of no acknowledgement. */
START_TEST(test_died_between_disk_and_wire)
{
    uint64_t job = begin();

    done(hub_drive_agent(d), job);
    ck_assert(hub_drive_wait(d, MSG_run_ack, 0, job, NULL) != NULL);
    again();
    hub_drive_front(d, 0);
    hub_drive_front_back(d, 0, 5, view_of(ticket, ticket_n));
    done(hub_drive_agent(d), job);
    ck_assert(hub_drive_wait(d, MSG_event, 0, 0, FINAL) != NULL);
    ck_assert(hub_drive_wait(d, MSG_run_ack, 0, job, NULL) != NULL);
    ck_assert(hub_drive_none(d, MSG_event, 0, FINAL));
    ck_assert(strstr(hub_drive_call(d, 0, 5, "chat.history", "{\"sessionKey\":\"agent:main:t\"}"),
                     "the answer"));
}
END_TEST

/* A run of this hub is submitted once, also in its first moments. */
START_TEST(test_fresh_run_is_submitted_once)
{
    (void)begin();
    usleep(40 * 1000); /* the time after which a hub takes up what its store had */
    ck_assert(hub_drive_none(d, MSG_job_submit, 0, NULL));
}
END_TEST

static void add_cases(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_agent_is_faster_than_front);
    tcase_add_test(tc, test_front_dies_instead);
    tcase_add_test(tc, test_front_hangs);
    tcase_add_test(tc, test_job_lost_meanwhile);
    tcase_add_test(tc, test_died_between_disk_and_wire);
    tcase_add_test(tc, test_fresh_run_is_submitted_once);
}

CK_MAIN("hub_back")
