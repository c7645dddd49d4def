<?php

/**
 * Tries to log in while no connection to Postern can be made: few, and each is kept until Postern has it in its trail.
 *
 * They stand in Roundcube's database, which all its hosts share and no guesser's cookies matter to: in the table
 * cache_shared, without an expiry, so that nothing clears them away.
 */
class postern_fallbacks
{
    // How many tries there may be that let nobody in: of a person from one network, from a network, of a person, and in
    // all. And how often a person may get in. Both begin again when Postern has the report.
    private const MOST = ['own' => 5, 'network' => 20, 'person' => 20, 'all' => 1000];
    private const MOST_ENTRIES = 20;
    private const TRY = 'postern.try.';
    private const ENTRY = 'postern.entry.';
    // At one login; the next one goes on.
    private const TOLD_AT_ONCE = 20;
    private const LONGEST_TEXT = 500;
    private const JSON = JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE;

    private $db;
    private $table;
    private $person;
    private $key;
    private $facts;

    public function __construct(rcube_db $db)
    {
        $this->db = $db;
        // A replica that lags behind would miss what was tried a moment ago.
        $db->set_table_dsn('cache_shared', 'w');
        $this->table = $db->table_name('cache_shared', true);
    }

    /** Keep a try, and say whether it may be made. It is kept before it is counted: those of the same moment see it. */
    public function admit($login, $address, $user_agent)
    {
        $this->person = self::hashed(mb_strtolower($login, 'UTF-8'));
        $network = self::hashed(self::network_of($address));
        if (!$this->has_room($network)) {
            // So of those that are refused only the first is kept: a flood fills no table.
            return false;
        }
        $this->facts = [
            'login' => substr($login, 0, self::LONGEST_TEXT),
            'address' => substr($address, 0, self::LONGEST_TEXT),
            'user_agent' => substr($user_agent, 0, self::LONGEST_TEXT),
            'at' => (string) time(),
        ];
        $this->key = self::TRY . "$network.$this->person." . self::number();
        return $this->keep($this->key, 'refused') && $this->has_room($network);
    }

    /** The mail server let in the person admitted in this request, if anybody was. */
    public function entered()
    {
        if ($this->key) {
            // A number of its own: Postern may have received the report of the try a moment ago.
            $this->keep(self::ENTRY . "$this->person." . self::number(), 'entered');
            $this->forget($this->key);
            $this->key = null;
        }
    }

    /** The entries that Postern does not have yet, by key; not all of them at once. */
    public function untold()
    {
        $sql = "SELECT `cache_key`, `data` FROM $this->table WHERE `cache_key` LIKE ? OR `cache_key` LIKE ?";
        $found = $this->db->limitquery($sql, 0, self::TOLD_AT_ONCE, self::TRY . '%', self::ENTRY . '%');
        $untold = [];
        while ($found && ($row = $this->db->fetch_assoc($found))) {
            $number = ['id' => substr(strrchr($row['cache_key'], '.'), 1)];
            $untold[$row['cache_key']] = $number + (json_decode($row['data'], true) ?: []);
        }
        return $untold;
    }

    public function forget($key)
    {
        $this->db->query("DELETE FROM $this->table WHERE `cache_key` = ?", $key);
    }

    private function keep($key, $outcome)
    {
        $data = json_encode($this->facts + ['outcome' => $outcome], self::JSON);
        return (bool) $this->db->query("INSERT INTO $this->table (`cache_key`, `data`) VALUES (?, ?)", $key, $data);
    }

    private function has_room($network)
    {
        $counts = array_fill_keys(array_keys(self::MOST), 0);
        foreach ($this->keys(self::TRY) as $key) {
            [$its_network, $its_person] = explode('.', substr($key, strlen(self::TRY)));
            $counts['own'] += [$its_network, $its_person] === [$network, $this->person];
            $counts['network'] += $its_network === $network;
            $counts['person'] += $its_person === $this->person;
            $counts['all']++;
        }
        foreach (self::MOST as $of => $most) {
            if ($counts[$of] > $most) {
                return false;
            }
        }
        return count($this->keys(self::ENTRY . "$this->person.")) < self::MOST_ENTRIES;
    }

    private function keys($beginning)
    {
        $found = $this->db->query("SELECT `cache_key` FROM $this->table WHERE `cache_key` LIKE ?", "$beginning%");
        $keys = [];
        while ($found && ($row = $this->db->fetch_assoc($found))) {
            $keys[] = $row['cache_key'];
        }
        return $keys;
    }

    /** As Postern takes it: IPv4 /24, also inside of IPv6, and IPv6 /56. */
    private static function network_of($address)
    {
        $bytes = @inet_pton($address) ?: $address;
        if (strlen($bytes) === 16 && strpos($bytes, str_repeat("\0", 10) . "\xff\xff") === 0) {
            $bytes = substr($bytes, 12);
        }
        return substr($bytes, 0, strlen($bytes) === 4 ? 3 : 7);
    }

    private static function hashed($text)
    {
        return substr(hash('sha256', $text), 0, 32);
    }

    private static function number()
    {
        return bin2hex(random_bytes(16));
    }
}
