<?php

/**
 * Talks to the server as the PHP library and Laravel on top of it do: signatures by hash_hmac, bodies and member data
 * by json_encode, queries by Guzzle or http_build_query. For tests: the library itself is only on Packagist.
 *
 * usage: php library.php < JOB   where JOB is JSON: {base, app, key, secret, masterKey, time?, calls}, and calls
 * [[function, argument...]...]. Prints a JSON list with the result of each call.
 */

declare(strict_types=1);

require 'GuzzleHttp/autoload.php';

/** One app on one server. */
final class Library
{
    private readonly GuzzleHttp\Client $http;

    public function __construct(
        private readonly string $base,
        private readonly string $app,
        private readonly string $key,
        private readonly string $secret,
        private readonly string $masterKey,
        private readonly ?int $time = null,
    ) {
        $this->http = new GuzzleHttp\Client(['base_uri' => $base, 'http_errors' => false]);
    }

    /** Publishes as Laravel does: one channel or several, without a socket id if there is none. */
    public function trigger(array $channels, string $event, array $payload, ?string $socketId = null): array
    {
        return $this->post('/events', json_encode($this->event($channels, $event, $payload, $socketId)));
    }

    /** Publishes [channel, event, payload, socket id?, info?] in one request. */
    public function triggerBatch(array $events): array
    {
        $batch = [];
        foreach ($events as $item) {
            [$channel, $event, $payload, $socketId, $info] = $item + [3 => null, 4 => null];
            $batch[] = $this->event([$channel], $event, $payload, $socketId, $info);
        }

        return $this->post('/batch_events', json_encode(['batch' => $batch]));
    }

    /** Publishes to an encrypted channel, sealed by libsodium with the channel's own key. */
    public function triggerEncrypted(string $channel, string $event, array $payload): array
    {
        $nonce = random_bytes(SODIUM_CRYPTO_SECRETBOX_NONCEBYTES);
        $sealed = sodium_crypto_secretbox(json_encode($payload), $nonce, $this->sharedSecret($channel));

        return $this->trigger([$channel], $event, array_map('base64_encode', ['nonce' => $nonce, 'ciphertext' => $sealed]));
    }

    public function terminate(string $userId): array
    {
        return $this->post("/users/$userId/terminate_connections", '{}');
    }

    public function get(string $path, array $params = []): array
    {
        return $this->send('GET', $path, $params);
    }

    /** The channels as PHP code goes through them, which needs an object on the wire also when there are none. */
    public function channels(array $params = []): array
    {
        return array_map('get_object_vars', get_object_vars($this->get('/channels', $params)['body']->channels));
    }

    /** The same request with PHP's own encoding of queries and its own HTTP. */
    public function plainGet(string $path, array $params): array
    {
        $path = "/apps/$this->app$path";
        $address = rtrim($this->base, '/') . $path . '?' . http_build_query($this->signed('GET', $path, $params));

        return ['body' => json_decode(file_get_contents($address))];
    }

    /** The query of a request, as it goes on the wire behind the question mark. */
    public function query(string $method, string $path, array $params): string
    {
        return http_build_query($this->signed($method, "/apps/$this->app$path", $params), '', '&', PHP_QUERY_RFC3986);
    }

    /** What Laravel's /broadcasting/auth answers: an array that went through the library's JSON. */
    public function authorize(string $channel, string $socketId, ?array $member = null): string
    {
        $data = $member === null ? [] : ['channel_data' => json_encode($member)];
        $answer = ['auth' => $this->sign(implode(':', [$socketId, $channel, ...array_values($data)]))] + $data;
        if (str_starts_with($channel, 'private-encrypted-')) {
            $answer['shared_secret'] = base64_encode($this->sharedSecret($channel));
        }

        return json_encode(json_decode(json_encode($answer, JSON_UNESCAPED_SLASHES), true));
    }

    /** What Laravel's /broadcasting/user-auth answers. */
    public function authenticate(string $socketId, array $user): string
    {
        $data = json_encode($user);

        return json_encode(['auth' => $this->sign("$socketId::user::$data"), 'user_data' => $data]);
    }

    private function event(
        array $channels,
        string $event,
        array $payload,
        ?string $socketId,
        ?string $info = null,
    ): array {
        return ['name' => $event, 'data' => json_encode($payload)]
            + (count($channels) === 1 ? ['channel' => $channels[0]] : ['channels' => $channels])
            + ($info === null ? [] : ['info' => $info])
            + ($socketId === null ? [] : ['socket_id' => $socketId]);
    }

    private function post(string $path, string $body): array
    {
        return $this->send('POST', $path, ['body_md5' => md5($body)], $body);
    }

    /** Without the slash in front, so that a path in the base address stays there. */
    private function send(string $method, string $path, array $params, ?string $body = null): array
    {
        $path = "/apps/$this->app$path";
        $response = $this->http->request($method, ltrim($path, '/'), [
            'query' => $this->signed($method, $path, $params),
            'headers' => ['Content-Type' => 'application/json', 'X-Pusher-Library' => 'gema-tests'],
            'body' => $body,
        ]);

        return ['status' => $response->getStatusCode(), 'body' => json_decode((string) $response->getBody())];
    }

    /** All parameters in the order of their names, then the signature. Lists are signed joined by commas. */
    private function signed(string $method, string $path, array $params): array
    {
        $params += ['auth_key' => $this->key, 'auth_timestamp' => $this->time ?? time(), 'auth_version' => '1.0'];
        ksort($params);
        $pairs = [];
        foreach ($params as $name => $value) {
            $pairs[] = $name . '=' . (is_array($value) ? implode(',', $value) : $value);
        }
        $text = implode("\n", [$method, $path, implode('&', $pairs)]);

        return $params + ['auth_signature' => hash_hmac('sha256', $text, $this->secret)];
    }

    private function sharedSecret(string $channel): string
    {
        return hash('sha256', $channel . base64_decode($this->masterKey), true);
    }

    private function sign(string $text): string
    {
        return $this->key . ':' . hash_hmac('sha256', $text, $this->secret);
    }
}

$job = json_decode(stream_get_contents(STDIN), true, flags: JSON_THROW_ON_ERROR);
$library = new Library($job['base'], $job['app'], $job['key'], $job['secret'], $job['masterKey'], $job['time'] ?? null);
$results = array_map(fn (array $call) => $library->{array_shift($call)}(...$call), $job['calls']);
echo json_encode($results, JSON_THROW_ON_ERROR);
