//! What somebody else writes to the keys and topics of a cluster: it harms nobody, is counted, and is written over.

use gema_tests::Redis;

use crate::servers::{pair, stop};

/// Makes every key that matches something that it is not. Returns how many there were.
const OTHER_TYPES: &str = "
local keys = redis.call('KEYS', ARGV[1])
for _, key in ipairs(keys) do
  local kind = redis.call('TYPE', key).ok
  redis.call('DEL', key)
  if kind == 'string' then
    redis.call('RPUSH', key, 'garbage')
  else
    redis.call('SET', key, 'garbage')
  end
end
return #keys";

/// Leaves every key that matches its type, and fills it with what nobody can read.
const OTHER_VALUES: &str = "
local keys = redis.call('KEYS', ARGV[1])
for _, key in ipairs(keys) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' then
    for i, field in ipairs(redis.call('HKEYS', key)) do
      redis.call('HSET', key, field, i % 2 == 0 and 'garbage' or '1e300')
    end
    redis.call('HSET', key, 'garbage', 'garbage', '', '', '#', '-1', '/', string.rep('x', 100000))
  elseif kind == 'set' then
    redis.call('SADD', key, 'garbage', '', 'presence-' .. string.rep('x', 1000))
  elseif kind == 'zset' then
    redis.call('ZADD', key, 0, 'garbage', 0, '', 'inf', 'gone', '-inf', string.rep('f', 40))
  elseif kind == 'stream' then
    redis.call('XADD', key, '*', 'garbage', 'garbage')
  else
    redis.call('SET', key, 'garbage')
  end
end
return #keys";

fn spoil(redis: &Redis, script: &str, pattern: &str) {
    let spoilt = redis.cli(&["EVAL", script, "0", pattern]);
    assert!(spoilt.parse::<u64>().is_ok_and(|keys| keys > 0), "{pattern}: {spoilt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_else_wrote_over_begins_anew() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.subscriber("private-c").await, b.subscriber("private-c").await);
    let mut number = 0;
    for script in ["return 1", OTHER_TYPES, OTHER_VALUES] {
        for pattern in ["gema:*:log:*", "gema:*:counters:*"] {
            spoil(&redis, script, pattern);
            for node in [&a, &b] {
                number += 1;
                node.publish_confirmed("private-c", "e", &number.to_string()).await;
                for client in [&mut at_a, &mut at_b] {
                    assert_eq!(client.expect("e").await.data, number.to_string(), "{pattern} {script}");
                }
            }
        }
    }
    drop((at_a, at_b));
    stop(a, b).await;
}
