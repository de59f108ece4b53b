// What the server says in English, for pages in Indonesian: Laravel's sentences and the server's own. A field is named
// as the pages name it; a sentence that is not here is shown as it came.

/** The server's names of fields. */
export const FIELDS = {
  name: 'Nama', email: 'Email', password: 'Kata sandi', role: 'Peran', notes: 'Catatan', from: 'Dari', to: 'Sampai', q: 'Cari',
  'check in': 'Jam masuk', 'check out': 'Jam pulang', 'node id': 'Node', 'user id': 'Orang', status: 'Status', now: 'sekarang',
};

const FIELD = '(name|email|password|role|notes|from|to|q|check in|check out|node id|user id|status)';

/** @type {[RegExp, string][]} `$1` is the first field or value of the sentence */
export const SENTENCES = [
  [/^These credentials do not match our records\.$/, 'Email atau kata sandi tidak cocok.'],
  [/^You have already checked in today and not checked out yet\.$/, 'Anda sudah tercatat masuk hari ini dan belum pulang.'],
  [/^You have no open check-in\.$/, 'Anda tidak sedang bertugas.'],
  [/^You cannot remove your own account\.$/, 'Anda tidak dapat menghapus akun sendiri.'],
  [/^You cannot take the admin role from yourself\.$/, 'Anda tidak dapat mencabut peran administrator Anda sendiri.'],
  [/^The record has been changed meanwhile\. Please load it again\.$/, 'Catatan ini sudah diubah sementara itu. Muat lagi.'],
  [/^There is another open record of that day\.$/, 'Ada catatan lain yang masih terbuka pada hari itu.'],
  [/^The server is busy\. Please try again in a moment\.$/, 'Server sedang sibuk. Coba lagi sebentar.'],
  [/^This action is unauthorized\.$/, 'Tindakan ini tidak diizinkan.'],
  [/^Not found\.$/, 'Tidak ditemukan.'],
  [/^The email has already been taken\.$/, 'Email ini sudah dipakai.'],
  [/^The email field must be a valid email address\.$/, 'Email harus berupa alamat yang benar.'],
  [new RegExp(`^The ${FIELD} field is required\\.$`), '$1 wajib diisi.'],
  [new RegExp(`^The ${FIELD} field must be at least (\\d+) characters\\.$`), '$1 minimal $2 karakter.'],
  [new RegExp(`^The ${FIELD} field must not be greater than (\\d+) characters\\.$`), '$1 paling banyak $2 karakter.'],
  [new RegExp(`^The ${FIELD} field must not contain control characters\\.$`), '$1 tidak boleh memuat karakter kendali.'],
  [new RegExp(`^The ${FIELD} field must be a date after or equal to ${FIELD}\\.$`), '$1 tidak boleh lebih awal dari $2.'],
  [new RegExp(`^The ${FIELD} field must be a date before or equal to (check out|now)\\.$`), '$1 tidak boleh lebih akhir dari $2.'],
  [new RegExp(`^The selected ${FIELD} is invalid\\.$`), '$1 tidak sah.'],
];
