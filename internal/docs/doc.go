// Package docs holds the tests of the documentation's claims.
package docs
